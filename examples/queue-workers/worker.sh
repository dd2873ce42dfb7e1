# Takes jobs from the list "jobs" and puts what it did on the list "done".
set -eu
ask() { redis-cli -e -h 127.0.0.1 -p "$QUEUE_PORT" --raw "$@"; }
ask PING >/dev/null
echo "$SUPERVISOR_PROCESS_NAME waits for jobs"
while :; do
    job=$(ask BLPOP jobs 0 | tail -n 1)
    [ -n "$job" ]
    ask RPUSH "done" "$job by $SUPERVISOR_PROCESS_NAME" >/dev/null
    echo "did $job"
done
