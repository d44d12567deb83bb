#!/bin/sh
# Runs once before the services and lets their unprivileged user write to the two volumes. ./shared_data keeps its owner
# from the host, and a new named volume belongs to root.
#   CASCADE_UID, CASCADE_GID: the services' user and group
set -eu

for folder in /data /data/input /data/work /data/output /data/cache; do
    mkdir -p "$folder"
    owner=$(stat -c %u "$folder")
    if [ "$owner" != 0 ] && [ "$owner" != "$CASCADE_UID" ]; then
        # Another user's checkout: it keeps its owner, and the services' group may write.
        chgrp "$CASCADE_GID" "$folder"
        chmod g+rwx "$folder"
    fi
done

# Root's checkout, a folder that Docker made, or what a run without Docker left.
find /data -xdev -user 0 -exec chown "$CASCADE_UID:$CASCADE_GID" {} +

if [ "$(stat -c %u /models)" != "$CASCADE_UID" ]; then
    chown -R "$CASCADE_UID:$CASCADE_GID" /models
fi
