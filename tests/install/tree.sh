#!/bin/sh
# Installs a build into a folder of its own, which the tests of foreign projects then use, and looks at what came:
#   tree.sh BUILD_FOLDER PREFIX [program]
set -u
build=$1 prefix=$2 program=${3:-}
die() {
    echo "install: $*" >&2
    exit 1
}
rm -rf "$prefix"
cmake --install "$build" --prefix "$prefix" >/dev/null || die "cmake --install failed"
has() {   # has PATTERN ...: a file under the prefix, wherever the library folder is
    for pattern in "$@"; do
        [ -n "$(find "$prefix" -path "$prefix/$pattern")" ] || { find "$prefix" >&2; die "$pattern was not installed"; }
    done
}
has include/reprise.h 'lib*/libreprise.so' 'lib*/libreprise.so.?' 'lib*/libreprise.so.?.?.?' 'lib*/libreprise.a' \
    'lib*/pkgconfig/reprise.pc' 'lib*/cmake/reprise/reprise-config.cmake' 'lib*/cmake/reprise/reprise-config-version.cmake'
if [ -n "$program" ]; then
    has bin/reprise share/man/man1/reprise.1 share/man/man1/reprise-forecast.1 share/bash-completion/completions/reprise \
        share/zsh/site-functions/_reprise
    # It runs from there, without the build folder.
    "$prefix/bin/reprise" --version || die "the installed program does not run"
fi
# Nothing but what the lists above are about: no internals' headers, no tests.
extra=$(find "$prefix" -type f | sed "s,^$prefix/,," | grep -Ev '^(bin/reprise|include/reprise[a-z_]*\.h|lib.*/libreprise\.(a|so[.0-9]*)|lib.*/pkgconfig/reprise\.pc|lib.*/cmake/reprise/reprise-[a-z-]*\.cmake|share/man/man1/reprise[a-z-]*\.1|share/bash-completion/completions/reprise|share/zsh/site-functions/_reprise|share/doc/.*)$')
[ -z "$extra" ] || die "installed without being meant to: $extra"
