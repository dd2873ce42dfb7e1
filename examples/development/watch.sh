# Runs a command whenever api.py is newer than the last time.
touch var/seen
echo "watching"
while sleep 1; do
    if [ -n "$(find . -name '*.py' -newer var/seen)" ]; then
        touch var/seen
        "$@"
    fi
done
