#!/bin/sh
# Compiles and runs the programs in docs/embedding.md: embedding.sh SOURCE_DIR LIBRARY_DIR [PYTHON with numpy]
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
awk -v here="$here" '/^```(c|python)$/ { on = 1; n++; file = here "/program" n (/python/ ? ".py" : ".c"); next } /^```$/ { on = 0 } on { print > file }' \
    "$1/docs/embedding.md"
cd "$1"
ran=0
for program in "$here"/*.c; do
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror -Iapi "$program" -L"$2" -Wl,-rpath,"$2" -lreprise -o "$here/program"
    [ "$("$here/program" | grep -c '^[0-9.]*$')" = 6 ]
    ran=$((ran + 1))
done
[ $ran = 2 ]
if [ -n "${3:-}" ]; then
    [ "$("$3" "$here"/program*.py "$2/libreprise.so.0")" = "(1, 1, 12, 64) (1, 1, 12) True" ]
fi
