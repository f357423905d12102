#!/bin/sh
# describe.sh FILE, in the project's folder: writes FILE, a C header with what git calls this state; "" where git does not know.
set -eu
state=
if [ -e .git ] && command -v git >/dev/null; then state=$(git describe --always --dirty 2>/dev/null) || state=; fi
line="#define RP_DESCRIBE \"$state\""
[ -f "$1" ] && [ "$(cat "$1")" = "$line" ] || echo "$line" >"$1"
