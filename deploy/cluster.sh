#!/usr/bin/env bash
# Holdfast as processes on this machine, for trying: 2 ingress, 2 admission, 2 bookers and a reconciler on Apache Cassandra and a
# Redis Cluster, with the demo sale. Ctrl-C ends everything and removes what was made.
#
#   cluster.sh PROGRAM [--cassandra 3|1|0] [--redis 6|1] [--dir DIR]
#
# PROGRAM       the built holdfast
# --cassandra   nodes of the ledger (default 3, about 1 GiB of memory each); 0: one SQLite file
# --redis       nodes of Redis (default 6, a cluster of 3 masters and their replicas); 1: one redis-server
# --dir         keeps data, keys and logs there, and goes on from what is there (default: a new directory, removed at the end)
# HOLDFAST_REDIS or HOLDFAST_LEDGER in the environment name stores that run already; nothing is started in their place.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Seconds a process may take to start, and to end before it is killed.
START_S=120
END_S=30

fail() { echo "cluster: $*" >&2; exit 1; }
say() { echo "cluster: $*" >&2; }
usage() { sed -n '5,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

PROGRAM=${1:-} CASSANDRA=3 REDIS=6 DIR=''
[ -x "$PROGRAM" ] || usage
shift
while [ $# -gt 1 ]; do
    case $1 in
        --cassandra) CASSANDRA=$2 ;;
        --redis) REDIS=$2 ;;
        --dir) DIR=$2 ;;
        *) usage ;;
    esac
    shift 2
done
case $#/$CASSANDRA/$REDIS in 0/[013]/[16]) ;; *) usage ;; esac

if [ -n "$DIR" ]; then mkdir -p "$DIR"; else DIR=$(mktemp -d); REMOVE=$DIR; fi
DIR=$(cd "$DIR" && pwd)
declare -A PIDS=()

# Processes first, all at once, while their stores still answer; the stores last.
finish() {
    local status=$? name end=$((SECONDS + END_S))
    trap - EXIT
    trap '' INT TERM
    for name in "${!PIDS[@]}"; do kill "${PIDS[$name]}" 2>/dev/null || true; done
    for name in "${!PIDS[@]}"; do
        while kill -0 "${PIDS[$name]}" 2>/dev/null; do
            [ $SECONDS -lt $end ] || kill -KILL "${PIDS[$name]}" 2>/dev/null || true
            sleep 0.1
        done
    done
    [ ! -d "$DIR/redis" ] || "$HERE/redis-cluster/cluster.sh" stop "$DIR/redis" || true
    [ ! -d "$DIR/cassandra" ] || "$HERE/cassandra/cassandra.sh" stop "$DIR/cassandra" || true
    if [ -n "${REDIS_PID:-}" ]; then
        kill "$REDIS_PID" 2>/dev/null || true
        wait "$REDIS_PID" 2>/dev/null || true
    fi
    if [ -n "${REMOVE:-}" ]; then rm -rf "$REMOVE"; fi
    exit "$status"
}
trap finish EXIT
trap 'exit 0' INT TERM

# Waits until a command succeeds.
await() {
    local what=$1 end=$((SECONDS + START_S))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { tail -n 5 "$DIR/$what.log" >&2 2>/dev/null || true; fail "$what: not within $START_S s"; }
        sleep 0.1
    done
}

listens() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The first of six free ports, below those that the system gives to outgoing connections; +10000 is the nodes' own.
six_ports() {
    local first port n
    for n in $(seq 50); do
        first=$((7000 + RANDOM % 1000 * 10))
        for ((port = first; port < first + 6; port++)); do
            if listens $port || listens $((port + 10000)); then continue 2; fi
        done
        echo $first
        return
    done
    fail "found no six free ports"
}

redis() {
    if [ "$REDIS" = 6 ]; then
        say "6 Redis nodes"
        export HOLDFAST_REDIS
        HOLDFAST_REDIS=$("$HERE/redis-cluster/cluster.sh" start "$DIR/redis" "$(six_ports)")
        return
    fi
    # A session of its own, here and below: the terminal's Ctrl-C is for this script, which ends everything in order.
    setsid redis-server --port 0 --save '' --appendonly yes --maxmemory-policy noeviction --dir "$DIR" \
        --unixsocket "$DIR/redis.sock" >"$DIR/redis.log" 2>&1 &
    REDIS_PID=$!
    export HOLDFAST_REDIS=unix:$DIR/redis.sock
    await redis redis-cli -s "$DIR/redis.sock" PING
}

ledger() {
    if [ "$CASSANDRA" = 0 ]; then
        export HOLDFAST_LEDGER=sqlite:$DIR/ledger.db
        return
    fi
    say "$CASSANDRA Cassandra nodes: half a minute, at the first time also their jars from Maven Central"
    mkdir -p "$DIR/cassandra"
    export HOLDFAST_LEDGER
    HOLDFAST_LEDGER=cql:$("$HERE/cassandra/cassandra.sh" start --nodes "$CASSANDRA" "$DIR/cassandra")/holdfast
    "$PROGRAM" ledger migrate --data "$DIR/migrate" >"$DIR/migrate.log" 2>&1 || { cat "$DIR/migrate.log" >&2; fail "ledger migrate"; }
}

# The first line of a process says where it is.
field() { sed -n "1s|.*\"$2\":\"\\([^\"]*\\)\".*|\\1|p" "$DIR/$1.out"; }

begin() {
    setsid "$PROGRAM" serve --json --role "${1%-*}" --data "$DIR/$1" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 \
        >"$DIR/$1.out" 2>"$DIR/$1.log" &
    PIDS[$1]=$!
}

on_sale() { curl -sf "$1/v1/sales/demo" | grep -q '"open"'; }

# Through one process; the others learn of it from the ledger. An act is recorded once, however often it is repeated.
put_on_sale() {
    on_sale "$A" && return
    "$PROGRAM" sale apply "$HERE/../src/demo/demo.toml" --data "$DIR/ingress-0" || return
    "$PROGRAM" sale open demo --why "make cluster" --data "$DIR/ingress-0" || return
    on_sale "$A"
}

tell() {
    printf '\nholdfast as processes\n\n'
    for name in $NAMES; do
        printf '  %-12s process %-7s operators %s' "$name" "${PIDS[$name]}" "$(field "$name" admin)"
        case $name in ingress-*) printf '   visitors %s' "$(field "$name" public)" ;; esac
        printf '\n'
    done
    printf '\n  redis        %s\n  ledger       %s\n  data, logs   %s\n' "$HOLDFAST_REDIS" "$HOLDFAST_LEDGER" "$DIR"
    printf '\nLook at it (export HOLDFAST_REDIS=%s HOLDFAST_LEDGER=%s):\n\n' "$HOLDFAST_REDIS" "$HOLDFAST_LEDGER"
    printf '  %s log list --data %s\n' "$PROGRAM" "$DIR/booker-0"
    printf '  %s audit demo --data %s\n' "$PROGRAM" "$DIR/booker-0"
    printf '  %s load journey --sale demo --target %s --data %s\n' "$PROGRAM" "$A" "$DIR/ingress-0"
    printf '  curl -s %s/metrics | grep reconciler_difference\n' "$(field reconciler admin)"
    printf '  kill -9 %s        # a booker: the other one follows within two seconds\n' "${PIDS[booker-0]}"
    printf '\nBook a ticket; every request may go to the other ingress, %s, as well. Paste this:\n\n' "$B"
    "$PROGRAM" journey "$A"
    printf '\nCtrl-C ends everything.\n'
}

[ -n "${HOLDFAST_REDIS:-}" ] || redis
[ -n "${HOLDFAST_LEDGER:-}" ] || ledger
export HOLDFAST_KEYS=$DIR/keys.toml HOLDFAST_INTERNAL_LISTEN=127.0.0.1:0 HOLDFAST_EDGE_VISITORS_PER_MINUTE=0 HOLDFAST_EDGE_JOINS_PER_MINUTE=0
[ -f "$DIR/keys.toml" ] || "$PROGRAM" keys create "$DIR/keys.toml" >/dev/null
NAMES="booker-0 booker-1 admission-0 admission-1 ingress-0 ingress-1 reconciler"
say "the processes"
for name in $NAMES; do begin "$name"; done
for name in $NAMES; do await "$name" test -s "$DIR/$name.out"; done
A=$(field ingress-0 public) B=$(field ingress-1 public)
say "the demo sale"
await "the demo sale" put_on_sale
await "the demo sale" on_sale "$B"
tell >&2
[ -z "${READY:-}" ] || : >"$READY"

# Until somebody ends it, or all processes have ended. One that dies is followed by another: that may be what is tried.
for name in $NAMES; do
    wait "${PIDS[$name]}" || say "$name has ended with $?; see $DIR/$name.log"
done
fail "all processes have ended"
