#!/bin/sh
# Runs Redis as the queue needs it: on disk within a second, and never evicting, since what it would evict is somebody's
# job. A full one refuses what is new, which the API turns into 503.
#   REDIS_PASSWORD: what a client must know; empty is nothing
set -eu

# Half of what the container may have: while Redis writes its file anew, a copy of all that changes meanwhile comes on top.
# Without it the kernel would kill Redis where Redis would have refused.
limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null | head -n 1)
case $limit in
"" | max) maxmemory=0 ;; # no limit
*) maxmemory=$((limit / 2)) ;;
esac

# By standard input, so that no list of processes shows the password.
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
