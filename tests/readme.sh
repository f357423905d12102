#!/bin/sh
# Compiles and runs the C program in README.md: readme.sh SOURCE_DIR LIBRARY_DIR
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$1/README.md" >"$here/readme.c"
grep -q rp_forecast "$here/readme.c"
${CC:-cc} -std=c11 -Wall -Wextra -Werror -I"$1/api" "$here/readme.c" -L"$2" -Wl,-rpath,"$2" -lreprise -o "$here/readme"
cd "$1"
[ "$("$here/readme" | grep -c '^[0-9.]*$')" = 6 ]
