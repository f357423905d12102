#!/bin/sh
# Compares what the libraries export with tests/abi/symbols.txt, the list of what this version promises:
#   symbols.sh LIBRARY.so LIBRARY.a LIST          --update before them writes the list anew
set -u
update=
if [ "$1" = --update ]; then update=1 && shift; fi
shared=$1 static=$2 list=$3
export LC_ALL=C
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT

# Defined and global: letters other than U, and not those that only look it (w, v: weak and undefined).
nm -D --defined-only "$shared" | awk '{ print $NF }' | sort >"$here/shared"
nm -g --defined-only "$static" | awk 'NF == 3 { print $3 }' | sort >"$here/static"
[ -n "$update" ] && cp "$here/shared" "$list"
grep -v '^rp_' "$here/shared" "$here/static" && { echo "symbols: exported, but not rp_*" >&2; exit 1; }
diff -u "$list" "$here/shared" || {
    echo "symbols: the shared library exports another list. A name that went is an incompatible version; a new one:" >&2
    echo "  sh tests/abi/symbols.sh --update $shared $static $list" >&2
    exit 1
}
diff -u "$list" "$here/static" || { echo "symbols: the static library has other global names than the shared one" >&2; exit 1; }
