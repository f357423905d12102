# Sourced by demo.sh and check.sh from the project's folder: installs what is missing on Debian, configures and builds.
#   setup PACKAGE ...     installs those that are missing; nothing to do takes no time
#   build TARGET ...      configures build/ and builds
# As root, or as a user with sudo. Elsewhere than Debian it names what is needed and goes on.

build_packages="gcc libc6-dev cmake ninja-build pkg-config glslc libvulkan-volk-dev libvulkan-dev mesa-vulkan-drivers
    libcjson-dev libcairo2-dev libcsv-dev fonts-dejavu-core"

fail() {
    echo "$0: $*" >&2
    exit 1
}

setup() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        echo "$0: this is no Debian; needed are, by their names there:" "$@" >&2
        return
    fi
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "as root, install:$missing"
        as_root=sudo
    fi
    echo "installing:$missing"
    # The index first: a fresh image has none.
    $as_root apt-get update -qq || fail "apt-get update failed; is the network there?"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        fail "apt-get could not install:$missing"
}

# configure FOLDER OPTION ...   every time: what was missing at the last may have been installed since
configure() {
    folder=$1
    shift
    mkdir -p build
    generator=Ninja
    [ -f "$folder/Makefile" ] && generator="Unix Makefiles"     # configured by hand; cmake will not change it
    cmake -S . -B "$folder" -G "$generator" "$@" >build/setup.log 2>&1 || { cat build/setup.log; fail "cmake failed, as said above"; }
    grep -E "^-- (CUDA|Vulkan|Tests|reprise)" build/setup.log
}

build() {
    configure build
    compile build "$@"
}

# compile FOLDER TARGET ...
compile() {
    folder=$1
    shift
    cmake --build "$folder" --parallel ${1:+--target "$@"} >build/setup.log 2>&1 || { tail -n 50 build/setup.log; fail "the build failed, as said above"; }
}
