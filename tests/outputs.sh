#!/bin/sh
# Files that the program writes are whole or not there; Ctrl-C and kill stop it soon, with 130 and 143; soak reports.
#   sh tests/outputs.sh PROGRAM SOURCE_DIR      stops at the first thing that is wrong, with a sentence
set -u
reprise=$1
source=$2
tiny=$(dirname "$reprise")/golden/toto-tiny
air=$source/data/air_passengers.csv
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT INT TERM
out=$here/out

die() {
    echo "outputs: $*" >&2
    [ -s "$here/err" ] && sed 's/^/  stderr: /' "$here/err" >&2
    exit 1
}
# forecast CODE OPTIONS...
forecast() {
    code=$1
    shift
    "$reprise" forecast --device ref --model "$tiny" --input "$air" --horizon 200 --samples 3 "$@" >"$here/said" 2>"$here/err"
    got=$?
    [ $got -eq "$code" ] || die "'forecast $*' returned $got where $code was expected"
}
err_has() { grep -qF -e "$1" "$here/err" || die "stderr lacks '$1'"; }
alone() {   # nothing is in the folder but these
    [ "$(ls -A "$out" | tr '\n' ' ')" = "$*${1:+ }" ] || die "the folder should hold '$*' and holds: $(ls -A "$out" | tr '\n' ' ')"
}

# ---- whole or not at all ----
mkdir "$out"
forecast 0 --output "$out/a.csv"
alone a.csv
for name in a.csv a.json a.svg a.png; do
    option=--output
    case $name in *.svg | *.png) option=--plot ;; esac
    echo before >"$out/$name"
    [ $name = a.csv ] || rm "$out/a.csv"
    (ulimit -f 1 && forecast 1 $option "$out/$name") || exit 1      # a file may have 512 bytes
    err_has "$name cannot be written: File too large"
    [ "$(cat "$out/$name")" = before ] || die "a failed write changed $name"
    alone $name
    forecast 0 $option "$out/$name"
    [ "$(wc -c <"$out/$name")" -gt 512 ] || die "$name was not replaced"
    [ $name = a.csv ] || { rm "$out/$name"; forecast 0 --output "$out/a.csv"; }
done
ln -s /dev/full "$out/full.csv"
forecast 1 --output "$out/full.csv"
err_has "No space left on device"
rm "$out/full.csv"
forecast 1 --output "$out/none/b.csv"
err_has "cannot be written: No such file or directory"
forecast 1 --output "$out/a.csv/b.csv"
err_has "cannot be written: Not a directory"
alone a.csv

# ---- what a place is stays as it is ----
chmod 640 "$out/a.csv"
ln -s a.csv "$out/link.csv"
echo before >"$out/a.csv"
forecast 0 --output "$out/link.csv"
[ -h "$out/link.csv" ] || die "a link was replaced by a file"
[ "$(wc -l <"$out/a.csv")" -eq 201 ] || die "the file behind a link was not written"
[ "$(ls -l "$out/a.csv" | cut -c1-10)" = -rw-r----- ] || die "the file's mode changed"
mkfifo "$out/pipe.csv"
cat "$out/pipe.csv" >"$here/piped" &
forecast 0 --output "$out/pipe.csv"
wait $!
cmp -s "$here/piped" "$out/a.csv" || die "a pipe got something else than a file"
alone a.csv link.csv pipe.csv
if [ "$(id -u)" != 0 ]; then                    # root may write everything
    chmod 440 "$out/a.csv"
    forecast 1 --output "$out/a.csv"
    err_has "Permission denied"
fi
rm -f "$out"/*

# ---- signals ----
# The input is a pipe: once it has been read, the program is past the place from which on it catches signals, and before a forecast
# that takes minutes.
mkfifo "$here/in.csv"
for signal in INT TERM; do
    env --default-signal=INT,TERM "$reprise" forecast --device ref --model "$source/models/demo-toto" --input "$here/in.csv" --horizon 1000 \
        --output "$out/a.csv" --plot "$out/a.svg" >"$here/said" 2>"$here/err" &
    pid=$!
    cat "$air" >"$here/in.csv"
    kill -$signal $pid
    wait $pid
    got=$?
    case $signal in INT) want=130 name=Ctrl-C ;; TERM) want=143 name=SIGTERM ;; esac
    [ $got -eq $want ] || die "after SIG$signal the program returned $got, not $want"
    err_has "stopped by $name before the forecast was done; no file was written"
    alone
done
# A backtest's second call, of 50 windows of two variates, takes a hundred times as long as its first, of one window: minutes, of which
# a step is a 600th. What is finished is written.
awk 'BEGIN { print "row,a"; for (i = 0; i < 9632; i++) print i "," i % 7 + 1 }' >"$here/one.csv"
awk 'BEGIN { print "row,a,b"; for (i = 0; i < 9681; i++) print i "," i % 7 + 1 "," i % 5 }' >"$here/two.csv"
env --default-signal=INT,TERM "$reprise" backtest --device ref --model "$source/models/demo-toto" --input "$here/one.csv" "$here/two.csv" \
    --context 32 --horizon 9600 --step 1 --windows 50 --batch 50 --samples 1 --seeds 1 --repeats 1 --report "$out" --save-baseline "$out/base.json" \
    >"$here/said" 2>"$here/err" &
pid=$!
until ls "$out"/results/one.csv-*.json >/dev/null 2>&1; do sleep 0.1; done
sleep 1                                         # into the second call
kill -INT $pid
tries=0
while kill -0 $pid 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { kill -KILL $pid; die "a backtest did not stop within a step"; }
    sleep 0.1
done
wait $pid
[ $? -eq 130 ] || die "a backtest did not end with 130 after SIGINT"
err_has "stopped by Ctrl-C: 1 of 2 files are finished"
grep -q "^one.csv " "$here/said" || die "a backtest that was stopped does not tell of the file that was finished"
grep -q "Stopped before the end" "$out/index.html" || die "the page of a backtest that was stopped does not say so"
[ -z "$(find "$out" -name '*.part' -o -name 'two.csv-*' -o -name base.json)" ] || die "a backtest that was stopped left more than what is finished"
rm -rf "$out"/*
: >"$here/said"
env --default-signal=INT,TERM "$reprise" soak --device ref --model "$tiny" --minutes 600 --json "$out/soak.json" >"$here/said" 2>"$here/err" &
pid=$!
until [ -s "$here/said" ]; do sleep 0.1; done    # its first line comes after the place from which on it catches signals
kill -TERM $pid
wait $pid
[ $? -eq 143 ] || die "soak did not end with 143 after SIGTERM"
grep -q '"interrupted":	true' "$out/soak.json" || die "soak wrote no report when it was stopped"
rm -f "$out"/*

# ---- soak ----
"$reprise" soak --device ref --model "$tiny" --forecasts 60 --samples 3 --json "$out/soak.json" >"$here/said" 2>"$here/err" || {
    cat "$here/said" >&2
    die "soak found something on the reference device"
}
grep -q "all is well" "$here/said" || die "soak does not say that all is well"
grep -q '"forecasts":	60' "$out/soak.json" || die "soak's report has another number of forecasts"
grep -q '"good":	true' "$out/soak.json" || die "soak's report differs from what it said"
alone soak.json
"$reprise" soak --device ref --model "$(dirname "$reprise")/golden/toto2-tiny" --block 16 --forecasts 60 >"$here/said" 2>"$here/err" || {
    cat "$here/said" >&2
    die "soak found something with a model of quantiles"
}
grep -q "60 in .*, 0 of them different from the first" "$here/said" || die "soak compares no quantiles"
echo "outputs: all is well"
