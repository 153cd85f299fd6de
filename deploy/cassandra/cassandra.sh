#!/usr/bin/env bash
# Apache Cassandra for tests and for trying, on loopback: real nodes from Maven Central's jars, with a small configuration of its own.
#
#   cassandra.sh fetch                       resolve the jars (needs mvn once; kept in ~/.cache/holdfast, or where HOLDFAST_CACHE says)
#   cassandra.sh start [OPTIONS] DIR         start, wait until CQL answers, print the contact points; data and logs go below DIR
#   cassandra.sh start-node N DIR            start node N of DIR again, after it was stopped or killed
#   cassandra.sh stop DIR                    stop all nodes of DIR
#   cassandra.sh check                       say in one line what is missing here, if anything is
#
# OPTIONS: --nodes 1|3 (127.0.0.1 to 127.0.0.3)   --cql-port P   --storage-port P (default: free ones)
#          --sync batch|group|periodic (default: batch)   --heap 512m   --password (user and password cassandra; default: none asked)
#          --guard PID (stop everything and remove DIR when that process has ended and nobody holds a lock on DIR/users)
# DIR/nodeN/pid, DIR/nodeN/system.log, DIR/contacts. Every wait is bounded.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${HOLDFAST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/holdfast}
# Seconds a node may take until CQL answers, and until it has ended.
START_S=${HOLDFAST_CASSANDRA_START_S:-180}
STOP_S=30
# Seconds that nobody may use what a guard watches, before it is stopped.
IDLE_S=30

fail() { echo "cassandra: $*" >&2; exit 1; }

check() {
    command -v java >/dev/null || fail "java is missing: install a JDK 17 (Debian: deploy/install.sh default-jdk-headless java)"
    [ -f "$(jars)/complete" ] || command -v mvn >/dev/null || fail "mvn is missing: install Maven (Debian: deploy/install.sh maven mvn)"
}

# Jars are kept per content of the pom, so that another version never meets these.
jars() { echo "$CACHE/cassandra-$(cksum < "$HERE/pom.xml" | cut -d' ' -f1)"; }

fetch() {
    local lib; lib=$(jars)
    [ -f "$lib/complete" ] && return
    check
    mkdir -p "$CACHE"
    # One at a time: test programs start side by side.
    exec 9> "$lib.lock"
    flock -w 1200 9 || fail "another process has been resolving the jars for twenty minutes: see $lib.lock"
    [ -f "$lib/complete" ] && { exec 9>&-; return; }
    rm -rf "$lib"
    echo "cassandra: resolving Apache Cassandra from Maven Central into $lib" >&2
    timeout 1200 mvn -B -q -f "$HERE/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$lib" >&2 9>&- \
        || fail "Maven could not resolve Apache Cassandra: see above; it needs Maven Central or a mirror in ~/.m2/settings.xml"
    touch "$lib/complete"
    exec 9>&-
}

# Whether something listens there.
listens() { (exec 3<> "/dev/tcp/$1/$2") 2>/dev/null; }

free_port() {
    local port n
    for n in $(seq 50); do
        # Below the ports that the system gives to outgoing connections.
        port=$((15000 + (RANDOM * 32768 + RANDOM) % 15000))
        listens 127.0.0.1 "$port" || { echo "$port"; return; }
    done
    fail "found no free port"
}

# Whether CQL answers there: an OPTIONS frame of protocol 4, and the first byte of an answer.
answers() {
    local byte
    byte=$(timeout 2 bash -c 'exec 3<> "/dev/tcp/$0/$1" && printf "\4\0\0\0\5\0\0\0\0" >&3 && head -c1 <&3 | od -An -tx1' "$1" "$2" 2>/dev/null) || return 1
    [ "${byte// /}" = 84 ]
}

# Whether the node of this directory runs: not one that has ended and is waited for by nobody, nor another process with its number.
alive() { [ -f "$1/pid" ] && tr '\0' ' ' 2>/dev/null < "/proc/$(cat "$1/pid")/cmdline" | grep -qF -- "$1/cassandra.yaml"; }

# Evenly spaced tokens, as they come out of -2^63 + (n - 1) * 2^64 / nodes.
token() {
    case $1/$2 in
        1/*) echo -9223372036854775807 ;;
        2/3) echo -3074457345618258602 ;;
        3/3) echo 3074457345618258603 ;;
    esac
}

configure() {
    local n=$1 nodes=$2 dir=$3/node$1 seeds more='' auth=AllowAllAuthenticator authorizer=AllowAllAuthorizer
    mkdir -p "$dir"
    seeds=$(for ((i = 1; i <= nodes; i++)); do echo "127.0.0.$i:$STORAGE_PORT"; done | paste -sd,)
    case $SYNC in
        periodic) more='commitlog_sync_period: 10000ms' ;;
        group) more='commitlog_sync_group_window: 5ms' ;;
        batch) ;;
        *) fail "--sync is batch, group or periodic" ;;
    esac
    [ "$PASSWORD" = no ] || auth=PasswordAuthenticator authorizer=CassandraAuthorizer
    sed -e "s|@TOKEN@|$(token "$n" "$nodes")|; s|@SEEDS@|$seeds|; s|@ADDRESS@|127.0.0.$n|; s|@STORAGE_PORT@|$STORAGE_PORT|" \
        -e "s|@CQL_PORT@|$CQL_PORT|; s|@SYNC@|$SYNC|; s|@SYNC_MORE@|$more|; s|@AUTHENTICATOR@|$auth|; s|@AUTHORIZER@|$authorizer|" \
        "$HERE/cassandra.yaml" > "$dir/cassandra.yaml"
}

launch() {
    local dir=$2/node$1 lib jamm
    lib=$(jars)
    jamm=$(compgen -G "$lib/jamm-*.jar" | head -n1)
    setsid java "@$HERE/jvm.args" "-javaagent:$jamm" "-Xms$(cat "$2/heap")" "-Xmx$(cat "$2/heap")" -Djava.io.tmpdir="$dir" \
        -Dcassandra.config="file:$dir/cassandra.yaml" -Dcassandra.storagedir="$dir" -Dcassandra.logdir="$dir" \
        -Dlogback.configurationFile="file:$HERE/logback.xml" -cp "$lib/*" org.apache.cassandra.service.CassandraDaemon \
        > "$dir/stdout.log" 2>&1 < /dev/null &
    echo $! > "$dir/pid"
    # On a busy machine it is a copy of this shell for a while, which nobody must take for a node that has ended.
    while kill -0 $! 2> /dev/null && ! alive "$dir"; do sleep 0.01; done
}

await() {
    local n=$1 dir=$2/node$1 port deadline=$((SECONDS + START_S))
    port=$(cat "$2/cql-port")
    until answers "127.0.0.$n" "$port" && ready "$2" "$dir"; do
        alive "$dir" || { tail -n 5 "$dir/stdout.log" >&2; grep -m3 -A3 '^ERROR' "$dir/system.log" >&2 || true; fail "node $n ended while starting: see $dir/system.log"; }
        [ $SECONDS -lt $deadline ] || fail "node $n does not answer CQL after $START_S s: see $dir/system.log"
        sleep 0.1
    done
}

# Logging in works only when the first role has been made, a moment after CQL answers.
ready() {
    [ "$(cat "$1/password")" = no ] || [ -f "$1/has-role" ] && return
    grep -qs "Created default superuser role" "$1"/node*/system.log && touch "$1/has-role"
}

start() {
    local nodes=1 guard='' dir n points=()
    CQL_PORT='' STORAGE_PORT='' SYNC=batch HEAP=512m PASSWORD=no
    while [ $# -gt 1 ]; do
        case $1 in
            --nodes) nodes=$2; shift 2 ;;
            --cql-port) CQL_PORT=$2; shift 2 ;;
            --storage-port) STORAGE_PORT=$2; shift 2 ;;
            --sync) SYNC=$2; shift 2 ;;
            --heap) HEAP=$2; shift 2 ;;
            --guard) guard=$2; shift 2 ;;
            --password) PASSWORD=yes; shift ;;
            *) fail "unknown option $1" ;;
        esac
    done
    [ $# = 1 ] || usage
    [ "$nodes" = 1 ] || [ "$nodes" = 3 ] || fail "--nodes is 1 or 3"
    fetch
    mkdir -p "$1"; dir=$(cd "$1" && pwd)
    for n in 1 2 3; do alive "$dir/node$n" && fail "node $n of $dir runs already: cassandra.sh stop $dir"; done
    : "${CQL_PORT:=$(free_port)}" "${STORAGE_PORT:=$(free_port)}"
    for ((n = 1; n <= nodes; n++)); do
        listens "127.0.0.$n" "$CQL_PORT" && fail "127.0.0.$n:$CQL_PORT is taken: choose another with --cql-port"
        points+=("127.0.0.$n:$CQL_PORT")
        configure "$n" "$nodes" "$dir"
    done
    echo "$HEAP" > "$dir/heap"; echo "$PASSWORD" > "$dir/password"; echo "$CQL_PORT" > "$dir/cql-port"
    # Whatever happens from here on, nothing is left running.
    trap "stop '$dir'" EXIT
    for ((n = 1; n <= nodes; n++)); do launch "$n" "$dir"; done
    if [ -n "$guard" ]; then
        setsid "$HERE/cassandra.sh" guard "$guard" "$dir" > /dev/null 2>&1 < /dev/null &
    fi
    for ((n = 1; n <= nodes; n++)); do await "$n" "$dir"; done
    trap - EXIT
    (IFS=,; echo "${points[*]}") | tee "$dir/contacts"
}

start_node() {
    local dir; dir=$(cd "$2" && pwd)
    [ -f "$dir/node$1/cassandra.yaml" ] || fail "$dir has no node $1"
    alive "$dir/node$1" && fail "node $1 runs already"
    launch "$1" "$dir"
    await "$1" "$dir"
}

stop() {
    local node pid deadline
    for node in "$1"/node*; do
        alive "$node" || continue
        pid=$(cat "$node/pid")
        # A stopped process hears nothing else before it goes on.
        kill -TERM "$pid" 2>/dev/null && kill -CONT "$pid" 2>/dev/null || true
    done
    for node in "$1"/node*; do
        [ -f "$node/pid" ] || continue
        pid=$(cat "$node/pid") deadline=$((SECONDS + STOP_S))
        while alive "$node"; do
            [ $SECONDS -lt $deadline ] || kill -KILL "$pid" 2>/dev/null || true
            [ $SECONDS -lt $((deadline + 10)) ] || fail "process $pid does not end"
            sleep 0.1
        done
        rm -f "$node/pid"
    done
}

# Whoever starts and uses DIR by turns holds DIR.lock while it looks, and a lock on DIR/users while it uses it. DIR.lock goes with DIR: it is
# removed by its holder, so whoever gets a lock on a file that is not there any more, or on another one, has to begin again.
take_lock() {
    while :; do
        exec 8> "$1"
        flock 8
        [ "$(stat -Lc %d:%i /proc/self/fd/8)" = "$(stat -c %d:%i "$1" 2>/dev/null)" ] && return
    done
}

guard() {
    local idle=0
    while [ -d "$2" ]; do
        sleep 0.5
        if in_use "$2"; then
            idle=0
        else
            idle=$((idle + 1))
        fi
        if [ $idle -ge $((IDLE_S * 2)) ] || ! kill -0 "$1" 2>/dev/null; then
            take_lock "$2.lock"
            in_use "$2" || { stop "$2"; rm -rf "$2" "$2.lock"; }
            exec 8>&-
        fi
    done
}

in_use() { [ -f "$1/users" ] && ! flock -n -x "$1/users" true; }

usage() { sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

case ${1:-} in
    fetch) fetch ;;
    check) check ;;
    start) shift; start "$@" ;;
    start-node) [ $# = 3 ] || usage; start_node "$2" "$3" ;;
    stop) [ $# = 2 ] || usage; [ -d "$2" ] || fail "$2 is no directory"; stop "$(cd "$2" && pwd)" ;;
    guard) [ $# = 3 ] || usage; guard "$2" "$3" ;;
    *) usage ;;
esac
