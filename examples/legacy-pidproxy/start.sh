#!/bin/sh
# Starts a daemon that puts itself into the background, and stays until it is gone.
set -eu
redis-server --port "$1" --bind 127.0.0.1 --daemonize yes --pidfile /run/legacy.pid \
    --dir /var/lib/legacy --logfile /var/log/supervisor/legacy-redis.log
until [ -s /run/legacy.pid ]; do sleep 0.1; done
echo "legacy daemon is pid $(cat /run/legacy.pid)"
while kill -0 "$(cat /run/legacy.pid 2>/dev/null)" 2>/dev/null; do sleep 1; done
