#!/bin/sh
# Forecasts the last two years of a monthly series with the shipped checkpoint: installs what is missing, builds, and draws
# build/demo.png. Needs no GPU.
set -u
cd "$(dirname "$0")" || exit 1
. tools/setup.sh
setup $build_packages
build reprise
exec build/reprise forecast --model models/demo-toto --input data/air_passengers.csv --horizon 24 --end -24 \
    --seed 1 --plot build/demo.png
