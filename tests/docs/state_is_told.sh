#!/bin/bash
# SPDX-License-Identifier: MIT
#
# state_is_told.sh SOURCE PAGE: every field of the JSON that SOURCE writes stands in the page's part
# on it.

set -euo pipefail

source=$1
page=$2
failed=0

part=$(sed -n '/^## How the gateway is$/,/^## /p' "$page")
fields=$(grep -oE '(add_number|cJSON_Add[A-Za-z]+ToObject)\([a-z]+, "[a-z_]+"' "$source" |
    sed 's/.*"\(.*\)"/\1/' | sort -u)

[ "$(wc -w <<<"$fields")" -gt 20 ] || {
    echo "$source: where are its fields?" >&2
    failed=1
}
for field in $fields; do
    grep -q "\`$field\`" <<<"$part" || {
        echo "$page: no word of $field" >&2
        failed=1
    }
done
exit "$failed"
