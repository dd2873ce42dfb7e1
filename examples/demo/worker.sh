# Does nothing, but says so.
job=0
while :; do
    job=$((job + 1))
    echo "$(date +%T) job $job done"
    sleep 1
done
