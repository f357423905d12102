#!/bin/sh
# Compares the library's binary interface with that of the last tagged version, which is built for it:
#   abidiff.sh LIBRARY.so SOURCE WORK_FOLDER [TAG]      exits 77, with a sentence, where there is nothing to compare with
set -u
library=$1 source=$2 work=$3
skip() {
    echo "abi: $*"
    exit 77
}
die() {
    echo "abi: $*" >&2
    exit 1
}
command -v abidiff >/dev/null || skip "there is no abidiff here (Debian: abigail-tools)"
git -C "$source" rev-parse --git-dir >/dev/null 2>&1 || skip "$source is no git checkout, so there is no version to compare with"
tag=${4:-$(git -C "$source" describe --tags --abbrev=0 2>/dev/null)}
[ -n "$tag" ] || skip "no version is tagged yet, so there is none to compare with; tests/abi/symbols.txt holds the names meanwhile"

# Types and names are the same with and without backends, so the old version is built without, once for each tag.
old=$work/$(git -C "$source" rev-parse --short "$tag^{commit}")
if [ ! -f "$old/build/libreprise.so" ]; then
    rm -rf "$old"
    mkdir -p "$old/source"
    git -C "$source" archive "$tag" | tar -x -C "$old/source" || die "$tag cannot be checked out"
    cmake -S "$old/source" -B "$old/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DRP_CUDA=OFF -DRP_VULKAN=OFF -DBUILD_TESTING=OFF \
        -DRP_WERROR=OFF >"$work/log" 2>&1 && cmake --build "$old/build" --target reprise_shared >"$work/log" 2>&1 ||
        { tail -n 30 "$work/log"; die "$tag cannot be built"; }
fi
compare() {
    abidiff --headers-dir1 "$old/source/api" --headers-dir2 "$source/api" --no-added-syms "$@" "$old/build/libreprise.so" "$library"
}
harm=
compare --suppressions "$source/tests/abi/abidiff.supp"
[ $? -lt 4 ] || harm=1
# Those suppressions also hide a member of such a struct that moved, went or changed its type.
compare >"$work/report" && :
grep -nE "offset changed|type of '|data member deletion|type changed" "$work/report" | grep -v 'return type' && harm=1
[ -z "$harm" ] || die "programs built for $tag may not run with this library, as said above. Undo that, or make it a new major version"
echo "abi: as in $tag"
