#!/bin/bash
# SPDX-License-Identifier: MIT
#
# ./demo.sh: the whole chain on this machine, from a sensor's pin to a consumer of the broker.
#
# Everything it starts is on loopback, in a temporary folder, and ends with it.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$root/build/demo
tests=$root/tests/system
gateway=demo-pi

usage() {
    cat <<'TEXT'
usage: ./demo.sh [--device /dev/ttyACM0] [--seconds N] [--dashboard]
       ./demo.sh --fault NAME
       ./demo.sh --wire

  --device PATH  a real board with the firmware of this project instead of the emulated one
  --seconds N    end after N seconds; the exit status is 0 only if readings arrived, in order,
                 without a gap and, from the emulated board, with the sensor's values
  --dashboard    Node-RED with its dashboard as well, for a browser on this machine
  --fault NAME   bad-certificate, protocol-version or insufficient-security: breaks TLS on the
                 broker, shows what sensorgw says of it, mends it, and counts the readings
  --wire         the same reading as an eavesdropper sees it, plain and encrypted
  --help         this text

Ctrl-C ends it. Nothing stays behind but build/demo and the packages it installed.
TEXT
}

usage_error() {
    echo "demo.sh: $1" >&2
    usage >&2
    exit 2
}

device=
seconds=
dashboard=
show=() # a program of demo/ with its arguments, instead of the plain chain
groups=(build broker)
while [ $# -gt 0 ]; do
    case $1 in
        --device | --seconds | --fault)
            [ $# -gt 1 ] || usage_error "$1 needs a value"
            case $1 in
                --device) device=$2 ;;
                --seconds) seconds=$2 ;;
                --fault) show=(fault.py "$2") ;;
            esac
            shift
            ;;
        --dashboard)
            dashboard=yes
            groups+=(nodejs)
            ;;
        --wire)
            show=(wire.py)
            groups+=(wire)
            ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) usage_error "unknown option '$1'" ;;
    esac
    shift
done
case ${show[*]} in
    '' | wire.py | "fault.py bad-certificate" | "fault.py protocol-version" | \
        "fault.py insufficient-security") ;;
    *) usage_error "there is no fault '${show[1]}'" ;;
esac
[ ${#show[@]} -eq 0 ] || [ -z "$device$seconds$dashboard" ] ||
    usage_error "--fault and --wire end by themselves, and use the emulated board"
[[ -z $seconds || $seconds =~ ^[1-9][0-9]{0,5}$ ]] || usage_error "--seconds takes a whole number"

# --- what a person sees

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' red='' plain=''
fi

step() { printf '%s%-13s%s %s\n' "$bold" "$1" "$plain" "$2"; }

fail() { # SENTENCE [FILE]: the file's end may tell why
    printf '%sdemo.sh: %s%s\n' "$red" "$1" "$plain" >&2
    [ $# -lt 2 ] || tail -n 20 "$2" | sed 's/^/  /' >&2
    exit 1
}

picture() {
    local board="Arduino with DHT11" where="emulated ATmega328P, real firmware"
    [ -z "$device" ] || where=$device
    cat <<TEXT

  $board ──serial──▶ ${bold}sensorgw${plain} ══MQTT, mutual TLS══▶ RabbitMQ ══mutual TLS══▶ you
  ${dim}$where${plain}

TEXT
}

# --- what it starts, and how that ends

work=
pids=() # what runs, in the order of its start; the last to start is the first to end
started_count=0
broker_pid=
board_pid=
consumer_pid=
nodered_pid=
gateway_pid=
timer_pid=

# Our own session for each, so that Ctrl-C reaches this script alone and it ends them in order.
# Those that do not watch their standard input are told by the kernel if this script is killed.
start() { # VARIABLE COMMAND...
    local -n started=$1
    shift
    setsid setpriv --pdeathsig TERM -- "$@" <&0 & # without <&0 it would read /dev/null
    # shellcheck disable=SC2034 # a name reference
    started=$!
    pids[started_count++]=$!
}

stop() { # PID: asks, waits, insists after 30 s; returns its status
    local pid=$1 i deadline=$((SECONDS + 30))
    for i in "${!pids[@]}"; do
        [ "${pids[i]}" != "$pid" ] || unset "pids[i]"
    done
    kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$pid" 2>/dev/null || true
        sleep 0.1
    done
    wait "$pid"
}

# shellcheck disable=SC2317 # reached by the trap
clean_up() {
    local status=$? i
    trap - EXIT
    trap '' INT TERM HUP
    for ((i = started_count - 1; i >= 0; i--)); do
        [ -z "${pids[i]:-}" ] || stop "${pids[i]}" || true
    done
    [ -z "$work" ] || rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

patience=150 # seconds

wait_for_line() { # PATTERN FILE PID NAME: until a line of the file matches
    local deadline=$((SECONDS + patience))
    until grep -q "$1" "$2" 2>/dev/null; do
        kill -0 "$3" 2>/dev/null || fail "$4 did not start" "$work/$4.log"
        [ "$SECONDS" -lt "$deadline" ] || fail "$4 is not ready after $patience s" "$work/$4.log"
        sleep 0.1
    done
}

# --- the steps

build_all() {
    local parts=(-Dtests=disabled -Dbuildtype=release)
    if [ -z "$device" ]; then
        parts+=(-Dfirmware=enabled -Demulator=enabled)
    else
        parts+=(-Dfirmware=auto -Demulator=auto)
    fi
    if [ -f "$build/build.ninja" ]; then
        meson configure "$build" "${parts[@]}"
    else
        meson setup "$build" "$root" "${parts[@]}"
    fi && ninja -C "$build"
}

make_pki() {
    local tool=$root/pki/sensorgw-pki
    export SENSORGW_PKI=$work/pki
    "$tool" init --no-passphrase &&
        "$tool" broker localhost 127.0.0.1 &&
        "$tool" client "$gateway" &&
        "$tool" client dashboard &&
        "$tool" client nodered
}

# A quarter of an hour in a kitchen: 18.5 to 24.5 °C, the drier the warmer, a new value every 3 s.
write_weather() {
    awk 'BEGIN {
        for (at = 0; at <= 900; at += 3) {
            swing = sin(at / 150)
            printf "%d,%.1f,%.1f\n", at, 21.5 + 3 * swing, 45 - 8 * swing
        }
    }' >"$work/board.csv"
}

write_configuration() { # PORT DEVICE
    cat >"$work/sensorgw.conf" <<TEXT
gateway = "$gateway";
brokers = ( { host = "localhost"; port = $1; } );
tls: {
    ca = "$work/pki/ca.pem";
    certificate = "$work/pki/$gateway.pem";
    key = "$work/pki/$gateway.key";
    version = "1.2";
    ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
};
spool: { path = "$work/spool.db"; };
sensors = ( { name = "kitchen"; driver = "serial"; device = "$2"; } );
TEXT
}

if [ -n "$device" ]; then
    [ -e "$device" ] || fail "there is no $device; 'ls /dev/ttyACM* /dev/ttyUSB*' lists the boards"
    if [ ! -r "$device" ] || [ ! -w "$device" ]; then
        group=$(stat -L -c %G "$device")
        fail "no permission for $device: 'sudo adduser $(id -un) $group', then log in again"
    fi
fi

picture

[ -n "$device" ] || groups+=(board)
step packages "tests/packages.txt: ${groups[*]}"
"$root/tests/install-packages" "${groups[@]}"

if [ ${#show[@]} -gt 0 ]; then
    step build "build/demo"
    mkdir -p "$root/build"
    build_all >"$root/build/demo.log" 2>&1 || fail "the build failed" "$root/build/demo.log"
    SENSORGW_BUILD=$build exec /usr/bin/python3 "$root/demo/${show[0]}" "${show[@]:1}"
fi

work=$(mktemp -d -t sensorgw-demo.XXXXXX)
mkdir "$work/run"
mkfifo "$work/hold"
exec 9<>"$work/hold" # whoever reads it sees its end when this script ends, even by kill -9

step certificates "a CA, and one each for localhost, $gateway and dashboard"
make_pki >"$work/pki.log" 2>&1 || fail "no certificates" "$work/pki.log"

step RabbitMQ "starting a node of its own"
start broker_pid "$tests/rabbitmq.py" --pki "$work/pki" --dir "$work/rabbitmq" \
    --gateway "$gateway" --consumer dashboard --consumer nodered \
    <"$work/hold" >"$work/broker.out" 2>"$work/rabbitmq.log" 9>&-

step build "build/demo"
build_all >"$work/build.log" 2>&1 || fail "the build failed" "$work/build.log"

if [ -z "$device" ]; then
    step board "an emulated Arduino, flashed with firmware/sgw-node.elf"
    write_weather
    device=$work/ttyACM0
    expect=(--expect "$work/board.csv")
    start board_pid "$build/tests/emulator/avrnode" --elf "$build/firmware/sgw-node.elf" \
        --link "$device" --csv "$work/board.csv" \
        <"$work/hold" >"$work/board.out" 2>"$work/board.log" 9>&-
    wait_for_line '^PORT ' "$work/board.out" "$board_pid" board
else
    expect=()
fi

wait_for_line '^PORT ' "$work/broker.out" "$broker_pid" rabbitmq
port=$(sed -n 's/^PORT //p' "$work/broker.out")
step RabbitMQ "localhost:$port, client certificates required, no plain port"

step consumer "dashboard, subscribed to sensors/# and gateways/#"
start consumer_pid "$tests/consumer.py" --port "$port" --pki "$work/pki" "${expect[@]}" \
    </dev/null 2>"$work/consumer.log" 9>&-
wait_for_line SUBSCRIBED "$work/consumer.log" "$consumer_pid" consumer

if [ -n "$dashboard" ]; then
    [ -e "$root/build/node-red/installed.json" ] || step Node-RED "fetching its packages from npm, this once"
    start nodered_pid "$tests/nodered.py" --pki "$work/pki" --port "$port" --name nodered \
        --dir "$work/nodered" --modules "$root/build/node-red" \
        <"$work/hold" >"$work/nodered.out" 2>"$work/nodered.log" 9>&-
    patience=700
    wait_for_line '^URL ' "$work/nodered.out" "$nodered_pid" nodered
    step Node-RED "${bold}$(sed -n 's/^URL //p' "$work/nodered.out")${plain}"
fi

step sensorgw "reads $device as 'kitchen', TLS 1.2 with ECDHE-ECDSA-AES128-GCM-SHA256"
echo
write_configuration "$port" "$device"
export RUNTIME_DIRECTORY=$work/run
start gateway_pid "$build/daemon/sensorgw" run -c "$work/sensorgw.conf" \
    </dev/null >"$work/sensorgw.log" 2>&1 9>&-

# Until the time is up, Ctrl-C, or one of them ends by itself.
ended=
trap 'ended=asked' INT TERM HUP
[ -z "$seconds" ] || start timer_pid sleep "$seconds" </dev/null
wait -n -p first || true
trap '' INT TERM HUP
if [ -z "$ended" ] && [ "${first:-}" != "$timer_pid" ]; then
    for name in sensorgw consumer nodered board rabbitmq; do
        [ ! -s "$work/$name.log" ] || tail -n 10 "$work/$name.log" | sed "/SUBSCRIBED/d; s/^/  $name: /"
    done >&2
    fail "a part of the chain ended by itself; what they said last is above"
fi

# The gateway first: it empties its spool and says that it goes offline; then the consumer's verdict.
status=0
stop "$gateway_pid" || status=$?
[ "$status" -eq 0 ] || fail "sensorgw ended with status $status" "$work/sensorgw.log"
echo
stop "$consumer_pid" || status=$?
[ -n "$seconds" ] || status=0
exit "$status"
