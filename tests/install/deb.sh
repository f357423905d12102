#!/bin/sh
# Makes the Debian packages, reads what they say of themselves, installs them into a scratch root and uses them from there:
#   deb.sh BUILD_FOLDER SOURCE WORK_FOLDER VERSION [program]
set -u
build=$1 source=$2 work=$3 version=$4 program=${5:-}
export LC_ALL=C
die() {
    echo "deb: $*" >&2
    exit 1
}
rm -rf "$work"
mkdir -p "$work/root"
(cd "$build" && cpack -G DEB -B "$work/packages") >"$work/log" 2>&1 || { cat "$work/log"; die "cpack failed"; }
runtime=libreprise${version%%.*}
packages="$runtime libreprise-dev ${program:+reprise}"

file_of() { ls "$work/packages/$1"_*.deb; }
field() { dpkg-deb --field "$(file_of "$1")" "$2"; }
# depends PACKAGE NAME ...: its Depends are these names, no more and no fewer
depends() {
    package=$1
    shift
    got=$(field "$package" Depends | tr ',' '\n' | sed 's/^ *//; s/ .*//' | sort | tr '\n' ' ')
    want=$(printf '%s\n' "$@" | sort | tr '\n' ' ')
    [ "$got" = "$want" ] || die "$package depends on '$got' where '$want' was expected"
}
for package in $packages; do
    dpkg-deb --info "$(file_of "$package")" >"$work/info" || die "dpkg-deb does not read $package"
    [ "$(field "$package" Package)" = "$package" ] || die "$package has another name inside"
    [ "$(field "$package" Version)" = "$version" ] || die "$package has another version than $version"
    [ "$(field "$package" Architecture)" = "$(dpkg --print-architecture)" ] || die "$package is for another architecture"
done
depends "$runtime" libc6 libcjson1
depends libreprise-dev "$runtime" libcjson-dev
field libreprise-dev Depends | grep -qF "$runtime (= $version)" || die "libreprise-dev should want its own version of $runtime"
[ -z "$program" ] || depends reprise libc6 libcairo2 libcjson1 libcsv3
dpkg-deb --ctrl-tarfile "$(file_of "$runtime")" | tar -xO ./shlibs | grep -qF "libreprise ${version%%.*} $runtime" || die "no shlibs"

# Into a scratch root: by dpkg itself as root, but not configured, for there is no ldconfig in it; else unpacked.
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$work/root/var/lib/dpkg/updates" "$work/root/var/lib/dpkg/info"
    : >"$work/root/var/lib/dpkg/status"
    dpkg --root="$work/root" --force-depends --log="$work/dpkg.log" --unpack "$work/packages"/*.deb >"$work/log" 2>&1 ||
        { cat "$work/log"; die "dpkg could not install the packages"; }
    for package in $packages; do
        dpkg-query --admindir="$work/root/var/lib/dpkg" -W -f '${Status}' "$package" | grep -q 'ok unpacked' || die "$package is not there"
    done
else
    for package in $packages; do dpkg-deb -x "$(file_of "$package")" "$work/root"; done
fi
if [ -n "$program" ]; then
    "$work/root/usr/bin/reprise" forecast --device ref --model "$source/models/demo-toto" --input "$source/data/air_passengers.csv" \
        --context 48 --horizon 4 --mean >"$work/log" 2>&1 || { cat "$work/log"; die "the installed program does not forecast"; }
fi
PKG_CONFIG_PATH=$(dirname "$(find "$work/root" -name reprise.pc)")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir reprise)
${CC:-cc} "$source/tests/install/consumer.c" $(pkg-config --cflags --libs reprise) -lm -Wl,-rpath,"$libdir" -o "$work/consumer" ||
    die "a program does not link with the installed packages"
"$work/consumer" "$source/models/demo-toto" || die "that program failed"

# lintian has its say where it is installed. The address is for whoever publishes the packages to set, and the scripts that call
# ldconfig, where Debian's own tools make a trigger, are cpack's.
tags=bogus-mail-host,bogus-mail-host-in-debian-changelog,lacks-ldconfig-trigger,maintscript-calls-ldconfig
if command -v lintian >/dev/null; then
    lintian --fail-on error,warning --suppress-tags $tags "$work/packages"/*.deb \
        2>"$work/log" || die "lintian is not content"
fi
echo "deb: all is well"
