# Works for some seconds and then fails.
echo "pid $$ is well"
sleep $((5 + $$ % 5))
echo "pid $$ gives up" >&2
exit 1
