#!/bin/bash
# SPDX-License-Identifier: MIT
#
# sensorgw-flash: puts the sketch onto an Arduino and shows the board's first reading. man sensorgw-flash
#
# Also runs from a checkout, with a build folder beside it: firmware/flash.sh.

set -euo pipefail
export LC_ALL=C

hello_s=20     # a boot loader, the sketch's start and its answer
reading_s=30   # a sensor's first second, two seconds to each reading, some failed ones

usage() {
    cat <<'TEXT'
usage: sensorgw-flash [--board uno|nano|old-nano] [--node N] [--image FILE] [--yes] [PORT]
       sensorgw-flash --only-node --node N [--yes] [PORT]
       sensorgw-flash --list

  PORT         a path or a name as `sensorgw ports` shows it; default: the only board
  --board      old-nano: with a boot loader from before 2018; default: found out
  --node N     give the board this number, 1 to 65535
  --only-node  do not flash, only give the number
  --image      flash this .hex instead of the sketch
  --list       the boards that are plugged in
  --yes        do not ask
TEXT
}

say() { printf '%s\n' "$*"; }

fail() { # SENTENCE [WHAT TO DO...]
    printf 'sensorgw-flash: %s\n' "$1" >&2
    shift
    for line; do printf '  %s\n' "$line" >&2; done
    exit 1
}

usage_error() {
    printf 'sensorgw-flash: %s\n' "$1" >&2
    usage >&2
    exit 2
}

# --- what we work with: installed, or built in this checkout

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
is_checkout=
[ ! -f "$here/sgw-node/sgw-node.ino" ] || is_checkout=yes

first_of() { # PATH...: the first that exists
    local path
    for path; do
        [ ! -e "$path" ] || { printf '%s\n' "$path"; return; }
    done
}

sensorgw=${SENSORGW:-}
if [ -z "$sensorgw" ] && [ -n "$is_checkout" ]; then
    sensorgw=$(first_of "$here"/../build*/daemon/sensorgw "$here"/../build/*/daemon/sensorgw)
fi
sensorgw=${sensorgw:-sensorgw}

image_of() { # KIND
    local name=sgw-node
    [ "$1" != old-nano ] || name=sgw-node-old-nano
    if [ -n "$image" ]; then
        printf '%s\n' "$image"
    elif [ -n "$is_checkout" ]; then
        first_of "$here"/../build*/firmware/$name.hex "$here"/../build/*/firmware/$name.hex
    else
        first_of "/usr/share/sensorgw/firmware/$name.hex" "/usr/local/share/sensorgw/firmware/$name.hex"
    fi
}

# --- boards

# The ports of `sensorgw ports --json`, a line each: path, name, USB id, product, holder's pid and
# command, with a unit separator between: a tab would swallow fields that are empty.
ports() {
    "$sensorgw" ports --json | awk '
        function text(line) {
            sub(/^[^:]*:[ \t]*/, "", line)
            sub(/,$/, "", line)
            gsub(/^"|"$/, "", line)
            gsub(/\\"/, "\"", line)
            return line
        }
        function flush() {
            if (port != "")
                printf "%s\037%s\037%s:%s\037%s\037%s\037%s\n", port, device, vendor, product_id, product, pid, command
            port = device = vendor = product_id = product = pid = command = ""
        }
        /"port":/ { flush(); port = text($0) }
        /"device":/ { device = text($0) }
        /"vendor_id":/ { vendor = text($0) }
        /"product_id":/ { product_id = text($0) }
        /"product":/ { product = text($0) }
        /"pid":/ { pid = text($0) }
        /"command":/ { command = text($0) }
        END { flush() }'
}

kind_of_id() { # VID:PID: what it is called, nothing if it is no board
    case $1 in
        2341:0043 | 2341:0001 | 2341:0243 | 2a03:0043) echo "Arduino UNO" ;;
        2341:* | 2a03:*) echo "Arduino" ;;
        1a86:*) echo "board with a CH340 (a Nano or UNO clone?)" ;;
        0403:*) echo "board with an FTDI bridge (a Nano?)" ;;
        10c4:*) echo "board with a CP210x bridge" ;;
        067b:*) echo "board with a PL2303 bridge" ;;
    esac
}

boards() { # the lines of ports that are boards, their kind in front
    local port device id pid command kind
    while IFS=$'\037' read -r port device id _ pid command; do
        kind=$(kind_of_id "$id")
        [ -z "$kind" ] || printf '%s\037%s\037%s\037%s\037%s\037%s\n' \
            "$kind" "$port" "$device" "$id" "$pid" "$command"
    done < <(ports)
}

list() {
    local kind port device id pid command count=0
    while IFS=$'\037' read -r kind port device id pid command; do
        count=$((count + 1))
        printf '%-14s %-40s %s%s\n' "$port" "$kind" "$device" "${command:+, held by $command (pid $pid)}"
    done < <(boards)
    [ "$count" -gt 0 ] || no_board
}

no_board() {
    fail "no board is plugged in" \
        "Plug it in, with a cable that carries data: some only charge." \
        "'sudo dmesg | tail' tells whether the kernel has seen it. In a virtual machine the" \
        "USB device must be passed on to it."
}

port= # /dev/ttyACM0
name= # what it is, for people

choose_port() { # [WANTED]
    local kind path device id pid command found=()
    while IFS=$'\037' read -r kind path device id pid command; do
        if [ -z "${1:-}" ] || [ "$1" = "$path" ] || [ "$1" = "$device" ] || [ "$1" = "usb:$id" ] ||
            [ "$(readlink -f -- "$1")" = "$path" ]; then
            found+=("$path")
            name="$kind, $device"
        fi
    done < <(boards)
    case ${#found[@]} in
        0)
            [ -n "${1:-}" ] || no_board
            [ -c "$1" ] || fail "there is no port $1" "'sensorgw-flash --list' shows what there is."
            port=$1
            name="port without a USB id"
            ;;
        1) port=${found[0]} ;;
        *) fail "there are ${#found[@]} boards: ${found[*]}" "Say which: sensorgw-flash ${found[0]}" ;;
    esac
    say "$port: $name"
}

# --- the port is free, and ours to use

stopped=

start_again() {
    [ -z "$stopped" ] || {
        stopped=
        say "Starting sensorgw again."
        as_root systemctl start sensorgw.service ||
            say "It did not start: journalctl -u sensorgw tells why." >&2
    }
}
trap start_again EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

agrees() { # QUESTION
    local answer
    [ -z "$yes" ] || return 0
    [ -t 0 ] || return 1
    read -rp "$1 [Y/n] " answer
    [[ ! $answer =~ ^[nN] ]]
}

service_runs() {
    command -v systemctl >/dev/null && systemctl is-active --quiet sensorgw.service
}

# Who holds it. Empty: nobody; "?": somebody, not visible to us.
holder_of() { # PORT
    local path pid command
    while IFS=$'\037' read -r path _ _ _ pid command; do
        if [ "$path" = "$1" ] && [ -n "$pid" ]; then
            printf '%s (pid %s)\n' "$command" "$pid"
            return
        fi
    done < <(ports)
    # All who open a port rightly lock it. Opening may restart the board, as flashing does.
    flock --nonblock "$1" true 2>/dev/null || echo "?"
}

free_port() {
    local holder
    if [ ! -r "$port" ] || [ ! -w "$port" ]; then
        fail "you may not open $port" \
            "It belongs to the group $(stat -Lc %G "$port"): sudo usermod -aG $(stat -Lc %G "$port") $(id -un)" \
            "and log in again, or run this with sudo."
    fi
    holder=$(holder_of "$port")
    [ -n "$holder" ] || return 0
    if service_runs && { [[ $holder == sensorgw\ * ]] || [ "$holder" = "?" ]; }; then
        agrees "The service sensorgw reads $port. Stop it for the time of flashing?" ||
            fail "the service sensorgw holds $port" \
                "Stop it first (sudo systemctl stop sensorgw), or run this with --yes: it stops it and" \
                "starts it again afterwards."
        say "Stopping sensorgw; what it read waits on disk."
        stopped=yes
        as_root systemctl stop sensorgw.service
        holder=$(holder_of "$port")
    fi
    [ -z "$holder" ] || [ "$holder" = "?" ] ||
        fail "$port is held by $holder" "End it, and try again."
    [ "$holder" != "?" ] ||
        fail "another program holds $port" "'sudo sensorgw ports' names it. End it, and try again."
}

# --- flashing

log=

try_flash() { # KIND
    local baud=115200 file
    [ "$1" != old-nano ] || baud=57600
    file=$(image_of "$1")
    [ -n "$file" ] || fail "there is no image to flash" \
        "Build it with gcc-avr, avr-libc and arduino-core-avr installed: ninja -C build"
    [ -r "$file" ] || fail "cannot read $file"
    say "Flashing $(basename "$file") at $baud baud ..."
    timeout 120 avrdude -q -p atmega328p -c arduino -b "$baud" -P "$port" -D -U "flash:w:$file:i" \
        >"$log" 2>&1
}

flash() {
    local kind=${board:-uno}
    command -v avrdude >/dev/null || fail "avrdude is missing: sudo apt install avrdude"
    log=$(mktemp)
    if ! try_flash "$kind"; then
        if [ -z "$board" ] && grep -qE 'not in sync|getsync|not responding' "$log"; then
            say "No answer; trying the boot loader of an older Nano."
            kind=old-nano
            ! try_flash "$kind" || { rm -f "$log"; return 0; }
        fi
        sed 's/^/  /' "$log" >&2
        rm -f "$log"
        fail "avrdude could not flash the board (its words are above)" \
            "Not in sync: is it an UNO or a Nano (ATmega328P)? Try another cable and another socket," \
            "take everything off its pins 0 and 1, and for an old Nano give --board old-nano."
    fi
    rm -f "$log"
}

# --- what the board says

# Reads until a hello of the board NODE (any: empty). The port is on descriptor 3.
wait_for_hello() { # NODE
    local line deadline=$((SECONDS + hello_s))
    while [ "$SECONDS" -lt "$deadline" ]; do
        printf '?' >&3 # opening a port that sensorgw has had open restarts no board any more
        IFS= read -r -t 1 -u 3 line || continue
        if [[ $line =~ \$SGW1,H,${1:-[0-9]+},[0-9]+,[0-9]+, ]]; then
            return 0
        fi
    done
    return 1
}

open_port() {
    exec 3<>"$port"
    flock --nonblock 3 || fail "another program has opened $port meanwhile"
    stty -F "$port" 115200 raw -echo clocal
}

silent_board() {
    fail "the board says nothing within $hello_s s" \
        "Press its reset button and run: sensorgw monitor $port" \
        "A Nano that was flashed as the wrong kind stays silent: try --board nano or old-nano."
}

set_node() { # N
    open_port
    wait_for_hello "" || silent_board
    printf '!node=%s\r' "$1" >&3
    wait_for_hello "$1" || fail "the board did not take the number $1" \
        "Is it the sketch of this version? Flash it without --only-node."
    exec 3>&-
    say "The board is number $1 now."
}

show_reading() {
    local seen
    seen=$(mktemp)
    say "Waiting for its first reading ..."
    if timeout "$reading_s" "$sensorgw" monitor "$port" --count 1 >"$seen" 2>&1; then
        grep -vE '^$|^readings [0-9]' "$seen" || true
        rm -f "$seen"
        return 0
    fi
    cat "$seen"
    if grep -q 'firmware' "$seen"; then
        rm -f "$seen"
        fail "the board runs the sketch, its sensor gives no reading" \
            "The lines above say what is wrong with it; firmware/README.md has the wiring."
    fi
    rm -f "$seen"
    silent_board
}

# --- command line

board=
node=
image=
wanted=
yes=
only_node=
while [ $# -gt 0 ]; do
    case $1 in
        --board | --node | --image)
            [ $# -gt 1 ] || usage_error "$1 needs a value"
            case $1 in
                --board) board=$2 ;;
                --node) node=$2 ;;
                *) image=$2 ;;
            esac
            shift
            ;;
        --list) wanted=--list ;;
        --only-node) only_node=yes ;;
        -y | --yes) yes=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        -*) usage_error "unknown option $1" ;;
        *)
            [ -z "$wanted" ] || usage_error "one port at a time"
            wanted=$1
            ;;
    esac
    shift
done

case $board in
    '' | uno | nano | old-nano) ;;
    *) usage_error "--board is uno, nano or old-nano" ;;
esac
[[ -z $node || ($node =~ ^[1-9][0-9]{0,4}$ && $node -le 65535) ]] ||
    usage_error "--node takes a number from 1 to 65535"
[ -z "$only_node" ] || [ -n "$node" ] || usage_error "--only-node wants --node N"
command -v "$sensorgw" >/dev/null ||
    fail "there is no sensorgw here" "Install it (sudo apt install ./sensorgw_*.deb), or build it: ninja -C build"

if [ "$wanted" = --list ]; then
    list
    exit 0
fi

choose_port "$wanted"
free_port
[ -n "$only_node" ] || flash
[ -z "$node" ] || set_node "$node"
show_reading
say "In /etc/sensorgw.conf: device = \"$(ports | awk -F '\037' -v port="$port" '$1 == port { name = $2 } END { print name == "" ? port : name }')\";"
