#!/bin/sh
# Installs what is missing, builds, and runs every test: on the reference, on Vulkan (Mesa's llvmpipe where there is no GPU)
# and on CUDA where there is an NVIDIA GPU; and those that need only a CPU under the sanitizers, in a build without either backend.
set -u
cd "$(dirname "$0")" || exit 1
. tools/setup.sh
setup $build_packages g++ libcmocka-dev vulkan-validationlayers python3 python3-numpy doxygen abigail-tools dpkg-dev file groff-base zsh
build
configure build/sanitized -DRP_SANITIZE=ON -DRP_CUDA=OFF -DRP_VULKAN=OFF -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g"
compile build/sanitized
(cd build/sanitized && ctest --no-tests=error --output-on-failure -j2) || fail "a test failed under the sanitizers"
cd build && exec ctest --no-tests=error --output-on-failure
