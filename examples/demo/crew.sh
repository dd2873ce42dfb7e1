# One of several: its number is the first argument.
echo "crew member $1 reporting as $SUPERVISOR_GROUP_NAME:$SUPERVISOR_PROCESS_NAME"
while :; do
    sleep $((3 + $1))
    echo "crew member $1 is still here"
done
