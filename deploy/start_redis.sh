#!/bin/sh
# Runs Redis as the queue needs it: synced to disk every second and without eviction, which would drop accepted jobs. A
# full Redis rejects new jobs, and the API answers 503.
#   REDIS_PASSWORD: the password for clients; empty requires none
set -eu

# Half of the container's limit: while Redis rewrites its file, pages that change are copied. Without the margin the kernel
# would kill Redis before Redis rejects a command.
limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null | head -n 1)
case $limit in
"" | max) maxmemory=0 ;; # no limit
*) maxmemory=$((limit / 2)) ;;
esac

# Through standard input, so that no process list shows the password.
password=$(printf %s "$REDIS_PASSWORD" | sed 's/[\\"]/\\&/g')
exec redis-server - <<CONFIGURATION
appendonly yes
appendfsync everysec
save ""
maxmemory $maxmemory
maxmemory-policy noeviction
protected-mode no
requirepass "$password"
CONFIGURATION
