#!/bin/sh
# Builds foreign projects against Reprise, in C and C++, shared and static, and runs them:
#   foreign.sh pkg-config|find_package|subdirectory SOURCE WORK_FOLDER INSTALLED_PREFIX [CMAKE_OPTION ...]
# stops at the first thing that is wrong, with a sentence.
set -u
how=$1 source=$2 work=$3 prefix=$4
shift 4
here=$source/tests/install
model=$source/models/demo-toto
export PATH=/usr/local/bin:$PATH

die() {
    echo "$how: $*" >&2
    exit 1
}

# runs PROGRAM shared|static: the number is right, and the library is the one that was asked for
runs() {
    "$1" "$model" || die "$1 failed"
    needs=$(readelf -d "$1" | grep -c 'NEEDED.*libreprise\.so')
    [ "$2" = shared ] && [ "$needs" = 0 ] && die "$1 should need libreprise.so and does not"
    [ "$2" = static ] && [ "$needs" != 0 ] && die "$1 should need no libreprise.so"
    return 0
}

project() {   # project FOLDER OPTION ...: configures and builds work/FOLDER
    folder=$1
    shift
    cmake -S "$here/$how" -B "$work/$folder" -G Ninja "$@" >"$work/log" 2>&1 || { cat "$work/log"; die "cmake failed"; }
    cmake --build "$work/$folder" --parallel 2 >"$work/log" 2>&1 || { tail -n 40 "$work/log"; die "the build failed"; }
}

rm -rf "$work"
mkdir -p "$work"
case $how in
pkg-config)
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name reprise.pc)") && export PKG_CONFIG_PATH
    flags="-Wall -Wextra -Wpedantic -Werror"
    libdir=$(pkg-config --variable=libdir reprise)
    for language in c cpp; do
        case $language in
        c) compiler="${CC:-cc} -std=c11" ;;
        cpp) compiler="${CXX:-c++} -std=c++11" ;;
        esac
        $compiler $flags "$here/consumer.$language" $(pkg-config --cflags --libs reprise) -lm -Wl,-rpath,"$libdir" \
            -o "$work/$language-shared" || die "the shared library does not link"
        runs "$work/$language-shared" shared
        # A folder without the shared one is what makes a linker take the static one.
        mkdir -p "$work/static"
        cp "$libdir/libreprise.a" "$work/static"
        $compiler $flags "$here/consumer.$language" $(pkg-config --cflags reprise) -L"$work/static" \
            $(pkg-config --static --libs reprise) -o "$work/$language-static" || die "the static library does not link"
        runs "$work/$language-static" static
    done
    ;;
find_package)
    for kind in "" shared static; do
        project "built-$kind" -DCMAKE_PREFIX_PATH="$prefix" -DKIND="$kind" "$@"
        for language in c cpp; do
            runs "$work/built-$kind/consumer_$language" "${kind:-shared}"
        done
    done
    # A version that is not there is refused.
    sed 's/reprise 0.1 REQUIRED/reprise 99 REQUIRED/; s,\.\./consumer,'"$here"'/consumer,' "$here/find_package/CMakeLists.txt" >"$work/CMakeLists.txt"
    cmake -S "$work" -B "$work/refused" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 && die "version 99 was found"
    grep -q 'requested version "99"' "$work/log" || { cat "$work/log"; die "another refusal was expected"; }
    ;;
subdirectory)
    # Without the backends: what is tested is how the build embeds. Its own warnings are errors here too.
    project built -DREPRISE="$source" -DRP_CUDA=OFF -DRP_VULKAN=OFF -DRP_WERROR=ON "$@"
    runs "$work/built/reprise" shared
    for kind in shared static; do
        runs "$work/built/consumer_c_$kind" $kind
        runs "$work/built/consumer_cpp_$kind" $kind
    done
    ;;
*) die "pkg-config, find_package or subdirectory?" ;;
esac
echo "$how: all is well"
