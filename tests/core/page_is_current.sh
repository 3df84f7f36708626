#!/bin/sh
# A committed page must be what its program writes.
#
# usage: page_is_current.sh PAGE COMMAND...
set -eu
page=$1
shift
"$@" | diff -u "$page" - && exit 0
echo "$page is behind: $* >$page"
exit 1
