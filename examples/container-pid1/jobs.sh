# Starts jobs in the background and forgets them.
while :; do
    ( ( sleep 0.1; echo "a job is done" ) & )
    sleep 1
done
