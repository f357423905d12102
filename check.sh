#!/bin/sh
# Installs what is missing, builds, and runs every test: on the reference, on Vulkan (Mesa's llvmpipe where there is no GPU)
# and on CUDA where there is an NVIDIA GPU; those that need only a CPU, and the suites of failing drivers, under the sanitizers; and
# threads under ThreadSanitizer, on the reference and on Vulkan.
set -u
cd "$(dirname "$0")" || exit 1
. tools/setup.sh
setup $build_packages g++ libcmocka-dev vulkan-validationlayers python3 python3-numpy doxygen abigail-tools dpkg-dev file groff-base zsh
build
configure build/sanitized -DRP_SANITIZE=ON -DRP_CUDA=OFF -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g"
compile build/sanitized
(cd build/sanitized && ctest --no-tests=error --output-on-failure -j2) || fail "a test failed under the sanitizers"
configure build/threads -DRP_SANITIZE=thread -DRP_CUDA=OFF -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g"
compile build/threads test_threads
(cd build/threads && ctest --no-tests=error --output-on-failure -R '^threads$') || fail "threads met where they should not, as said above"
cd build && exec ctest --no-tests=error --output-on-failure -j2
