#!/usr/bin/env bash
# A Redis Cluster on this machine, for trying: three masters and their replicas on loopback.
#
#   deploy/redis-cluster/cluster.sh start DIR [FIRST_PORT]   prints the value of the setting redis, when all slots are served
#   deploy/redis-cluster/cluster.sh stop DIR
#
# Ports are FIRST_PORT to FIRST_PORT+5 (7001) and the same + 10000. Started again on its DIR the cluster has its data back.
set -euo pipefail

say() { echo "holdfast: $*" >&2; }
usage() { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }

command=${1:-} folder=${2:-} first=${3:-7001}
[ -n "$folder" ] || usage
for program in redis-server redis-cli; do
    command -v "$program" >/dev/null || { say "$program is missing: deploy/install.sh redis-server $program"; exit 1; }
done

alive() { [ -s "$1/redis.pid" ] && kill -0 "$(cat "$1/redis.pid")" 2>/dev/null && grep -qs redis-server "/proc/$(cat "$1/redis.pid")/comm"; }

# How often something is looked for before it is given up: 30 seconds.
until_true() {
    local what=$1 left=300
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { say "not within 30 s: $what; see $folder/*/redis.log"; exit 1; }
        sleep 0.1
    done
}

cli() { redis-cli -h 127.0.0.1 -p "$@"; }
well() { cli "$1" cluster info | tr -d '\r' | grep -qx 'cluster_state:ok' && cli "$1" cluster info | tr -d '\r' | grep -qx 'cluster_slots_ok:16384'; }
follows() { cli "$1" info replication | tr -d '\r' | grep -qxE 'role:master|master_link_status:up'; }

start() {
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    [ ! -s "$folder/first-port" ] || first=$(cat "$folder/first-port")
    ports=$(seq "$first" $((first + 5)))
    fresh=yes
    for port in $ports; do
        mkdir -p "$folder/$port"
        [ ! -s "$folder/$port/nodes.conf" ] || fresh=no
        if alive "$folder/$port"; then continue; fi
        # appendonly and noeviction are what production asks for; without full coverage a shard goes on while another is away.
        redis-server --port "$port" --bind 127.0.0.1 --dir "$folder/$port" --daemonize yes \
            --pidfile "$folder/$port/redis.pid" --logfile "$folder/$port/redis.log" --save "" \
            --appendonly yes --appendfsync everysec --maxmemory-policy noeviction \
            --cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout 2000 \
            --cluster-require-full-coverage no --repl-diskless-sync-delay 0 >/dev/null
    done
    echo "$first" > "$folder/first-port"
    for port in $ports; do until_true "an answer of port $port" cli "$port" ping; done
    if [ "$fresh" = yes ]; then
        # shellcheck disable=SC2046
        redis-cli --cluster create $(printf '127.0.0.1:%s ' $ports) --cluster-replicas 1 --cluster-yes > "$folder/create.log" ||
            { say "the cluster could not be created: see $folder/create.log"; exit 1; }
    fi
    for port in $ports; do
        until_true "all slots served, says port $port" well "$port"
        until_true "port $port follows its master" follows "$port"
    done
    echo "cluster:$(printf '127.0.0.1:%s,' $ports | sed 's/,$//')"
}

stop() {
    for place in "$folder"/[0-9]*/; do
        place=${place%/}
        alive "$place" || continue
        kill "$(cat "$place/redis.pid")"
    done
    for place in "$folder"/[0-9]*/; do
        place=${place%/}
        [ -d "$place" ] || continue
        ended() { ! alive "$place"; }
        until_true "the end of $place" ended
    done
}

case $command in
    start) start ;;
    stop) stop ;;
    *) usage ;;
esac
