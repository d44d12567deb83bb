#!/bin/sh
# Starts dockerd, detached, unless a Docker engine is running.
# Needs root and apt's docker.io. Prints one line with the result; the engine's log is in DOCKERD_LOG.
set -eu

log=${DOCKERD_LOG:-${TMPDIR:-/tmp}/dockerd.log}

if docker info >/dev/null 2>&1; then
    echo "a Docker engine is already running"
    exit 0
fi
command -v dockerd >/dev/null || { echo "dockerd is not installed: apt-get install docker.io" >&2; exit 1; }

# The engine picks its own storage driver. Inside a sandbox overlayfs may be refused; vfs copies whole layers,
# which is slow and large, but works on any file system.
for driver in "" vfs; do
    setsid nohup dockerd ${driver:+--storage-driver="$driver"} </dev/null >"$log" 2>&1 &
    pid=$!
    tries=0
    while [ $tries -lt 60 ] && kill -0 $pid 2>/dev/null; do
        if docker info >/dev/null 2>&1; then
            echo "dockerd runs as process $pid, storage driver $(docker info --format '{{.Driver}}')"
            exit 0
        fi
        tries=$((tries + 1))
        sleep 0.5
    done
    kill $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
done
echo "dockerd does not start; the end of $log:" >&2
tail -n 15 "$log" >&2
exit 1
