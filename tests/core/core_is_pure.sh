#!/bin/sh
# core/ decides and does no I/O: its archive may want nothing from outside but memory and text functions
# and what compilers and sanitizers bring along.
#
# usage: core_is_pure.sh libcore.a
set -eu
allowed='^(mem|bcmp$|str|v?snprintf|__assert_fail|__aeabi_|__u?(div|mod)|__(asan|ubsan|stack_chk|sanitizer|sancov|gcov|llvm)|__.*_chk$|_GLOBAL_OFFSET_TABLE_)'
wanted=$(nm --undefined-only --format=posix "$1" | awk '$2 == "U" { print $1 }' | sort -u)
own=$(nm --defined-only --format=posix "$1" | awk 'NF > 1 { print $1 }' | sort -u)
[ -n "$own" ] || { echo "nothing is defined in $1"; exit 1; }
foreign=$(printf '%s\n' "$wanted" | grep -vxF "$own" | grep -vE "$allowed" || true)
[ -z "$foreign" ] || { printf 'core/ is not pure: %s\n' "$foreign"; exit 1; }
echo "core/ is pure"
