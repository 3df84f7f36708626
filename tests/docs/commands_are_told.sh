#!/bin/bash
# SPDX-License-Identifier: MIT
#
# commands_are_told.sh SENSORGW PAGE COMPLETION: every command that `sensorgw help` lists, and
# every option of it there, stands in the manual page and is completed; every option of its own
# usage stands in `sensorgw help`.

set -euo pipefail

sensorgw=$1
page=$2
completion=$3
failed=0

fail() {
    printf '%s\n' "$1" >&2
    failed=1
}

page_text=$(sed 's/\\-/-/g' "$page")
# shellcheck source=/dev/null
. "$completion"

completed() { # WORD...: what comes after them
    COMP_WORDS=(sensorgw "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _sensorgw 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}"
}

told=$(${MESON_EXE_WRAPPER:-} "$sensorgw" help) # an emulator, in a cross build

options_in() { # TEXT
    grep -oE -- '\[--[a-z-]+' <<<"$1" | tr -d '[' || true
}

command=
while IFS= read -r line; do
    if [[ $line =~ ^\ \ sensorgw\ \[?([a-z]+) ]]; then
        command=${BASH_REMATCH[1]}
        grep -qE "^\.(B|BR|BI|TP)? ?\"?(sensorgw )?$command\b" <<<"$page_text" ||
            fail "$page: no word of '$command'"
        grep -qx -- "$command" <<<"$(completed '')" || fail "$completion: '$command' is not completed"
        usage=$(${MESON_EXE_WRAPPER:-} "$sensorgw" "$command" --frobnicate 2>&1 || true)
        for option in $(options_in "$usage"); do
            grep -q -- "$option" <<<"$told" || fail "help: no word of '$command $option'"
        done
    fi
    for option in $(options_in "$line"); do
        grep -q -- "$option" <<<"$page_text" || fail "$page: no word of '$command $option'"
        grep -qx -- "$option" <<<"$(completed "$command" -)" ||
            fail "$completion: '$command $option' is not completed"
    done
done <<<"$told"

[ -n "$command" ] || fail "'sensorgw help' lists no commands"
exit "$failed"
