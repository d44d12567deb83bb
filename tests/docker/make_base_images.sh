#!/bin/sh
# Builds stand-ins for the two public images, on a machine that reaches a Debian mirror but no image registry:
#   cascade-base:standin   for python:3.11-slim: Debian bookworm with python3 3.11, venv and CA certificates
#   cascade-redis:standin  for redis:7-alpine: Debian's redis-server 7.0, its data in /data, user "redis"
# The settings with which this machine reaches its mirrors (apt's mirror and proxy, the CA bundle, pip's index) are read
# when the script runs, and written into the stand-in. Needs root, debootstrap and a Docker engine.
#
# usage: make_base_images.sh [--force]      (without --force, existing images are kept)
set -eu

suite=bookworm
base=cascade-base:standin
redis=cascade-redis:standin

have() { docker image inspect "$1" >/dev/null 2>&1; }

if [ "${1:-}" != --force ] && have $base && have $redis; then
    echo "$base and $redis exist already"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rootfs=$work/rootfs

# A Debian machine's own mirror; elsewhere debootstrap's default.
mirror=
if grep -q '^ID=debian' /etc/os-release; then
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
        sed -nE 's/^(deb( +\[[^]]*\])?|URIs:) +(https?:[^ ]+\/debian\/?)( .*)?$/\3/p' | head -n 1)
fi
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    $suite "$rootfs" $mirror >"$work/debootstrap.log" 2>&1 ||
    { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }

apt-config dump 2>/dev/null | grep -E '^Acquire::(https?|ftp)::|^Acquire::Check-' \
    >"$rootfs/etc/apt/apt.conf.d/90host" || true

bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [ -r "$bundle" ]; then
    cp "$bundle" "$rootfs/etc/ssl/certs/ca-certificates.crt"
fi

# Without an index in a local folder, which a container cannot reach.
{
    echo "[global]"
    echo "cert = /etc/ssl/certs/ca-certificates.crt"
    { python3 -m pip config list 2>/dev/null || true; } | sort | # ":env:" before "global": the environment wins
        sed -nE "s/^(:env:|global)\.(index-url|extra-index-url|trusted-host|proxy)='(.*)'$/\2 = \3/p" |
        grep -v file: | awk '!seen[$1]++' || true
} >"$rootfs/etc/pip.conf"

tar -C "$rootfs" --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' -c . |
    docker import --change 'CMD ["python3"]' - $base >/dev/null

docker build --quiet --tag $redis - >/dev/null <<DOCKERFILE
FROM $base
RUN apt-get update && apt-get install -y --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* && mkdir /data && chown redis:redis /data
WORKDIR /data
CMD ["redis-server"]
DOCKERFILE

docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep -E 'cascade-(base|redis):standin'
