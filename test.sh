#!/bin/bash
# SPDX-License-Identifier: MIT
#
# ./test.sh [SUITE...]: installs what is missing, builds with sanitizers, runs the tests.
#
# A suite is tests/system/test_SUITE.py; `unit` is everything that `meson test` runs. With none
# named, those that a change must pass. The last line is `N passed, N failed, N skipped`.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$root/build/test
results=$build/results

on_request=" vm systemd cluster nodered demo package fuzz debian13 " # slow, or in need of much that is not installed

known=(unit)
for file in "$root"/tests/system/test_*.py; do
    file=${file##*/test_}
    known+=("${file%.py}")
done

default=()
on_request_here=()
for suite in "${known[@]}"; do
    if [[ $on_request == *" $suite "* ]]; then
        on_request_here+=("$suite")
    else
        default+=("$suite")
    fi
done

usage() {
    echo "usage: ./test.sh [SUITE...]"
    echo "  a change must pass: ${default[*]}"
    echo "  on request:         ${on_request_here[*]:-}"
}

suites=()
for word; do
    case " ${known[*]} " in
        *" $word "*) suites+=("$word") ;;
        *)
            if [ "$word" = --help ] || [ "$word" = -h ]; then
                usage
                exit 0
            fi
            echo "test.sh: there is no suite '$word'" >&2
            usage >&2
            exit 2
            ;;
    esac
done
[ ${#suites[@]} -gt 0 ] || suites=("${default[@]}")

groups=(build board broker tests)
for suite in "${suites[@]}"; do
    if grep -q "^$suite:" "$root/tests/packages.txt"; then
        groups+=("$suite")
    fi
done
"$root/tests/install-packages" "${groups[@]}"

# Criterion forks its workers out of a process with threads: under AddressSanitizer some hang for ever.
options=('-Db_sanitize=address,undefined' -Dwerror=true -Dcriterion=own
    -Dtests=enabled -Dfirmware=enabled -Demulator=enabled)
if [ -f "$build/build.ninja" ]; then
    meson configure "$build" "${options[@]}"
else
    meson setup "$build" "$root" "${options[@]}"
fi
ninja -C "$build" --quiet

export SENSORGW_BUILD=$build
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
rm -rf "$results"
mkdir -p "$results"

reports=()
files=()
for suite in "${suites[@]}"; do
    if [ "$suite" = unit ]; then
        meson test -C "$build" --no-rebuild --print-errorlogs || true # the report tells
        cp "$build/meson-logs/testlog.junit.xml" "$results/unit.xml" || true
        reports+=("$results/unit.xml")
    else
        files+=("$root/tests/system/test_$suite.py")
    fi
done

# One run for all of them, so that they share one broker.
if [ ${#files[@]} -gt 0 ]; then
    status=0
    /usr/bin/python3 -m pytest --continue-on-collection-errors \
        --junitxml="$results/system.xml" "${files[@]}" || status=$?
    # 0 passed, 1 failed, 5 nothing collected; all else means that pytest itself broke off
    case $status in
        0 | 1 | 5) reports+=("$results/system.xml") ;;
        *) reports+=("$results/system.xml" "$results/pytest-ended-with-$status") ;;
    esac
fi

/usr/bin/python3 "$root/tests/summary.py" "${reports[@]}"
