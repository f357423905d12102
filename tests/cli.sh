#!/bin/sh
# Runs the program as a person would: help, mistakes, a forecast, its files and its picture.
#   sh tests/cli.sh PROGRAM SOURCE_DIR [DEVICE]      stops at the first thing that is wrong, with a sentence
set -u
reprise=$1
source=$2
device=${3:-ref}
model=$source/models/demo-toto
air=$source/data/air_passengers.csv
kronos=$source/models/demo-kronos
sse=$source/data/sse600977_5min.csv
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT INT TERM

die() {
    echo "cli: $*" >&2
    [ -s "$here/out" ] && sed 's/^/  stdout: /' "$here/out" >&2
    [ -s "$here/err" ] && sed 's/^/  stderr: /' "$here/err" >&2
    exit 1
}

# expect CODE ARGUMENTS...: runs the program, keeps what it says in out and err.
expect() {
    code=$1
    shift
    "$reprise" "$@" >"$here/out" 2>"$here/err"
    got=$?
    [ $got -eq "$code" ] || die "'reprise $*' returned $got where $code was expected"
}
out_has() { grep -qF -e "$1" "$here/out" || die "stdout lacks '$1'"; }
err_has() { grep -qF -e "$1" "$here/err" || die "stderr lacks '$1'"; }

[ -x "$reprise" ] || die "there is no program $reprise"
[ -f "$model/config.json" ] || die "there is no model folder $model"

# ---- help ----
expect 0 --version
out_has "reprise "
expect 0 --help
for command in forecast backtest inspect devices doctor verify compare trace dump bench soak; do
    out_has "  $command "
done
for command in forecast backtest inspect devices doctor verify compare trace dump bench soak; do
    expect 0 $command --help
    out_has "usage: reprise $command"
    out_has "example:"
    [ -s "$here/err" ] && die "help of $command writes to stderr"
    expect 0 help $command
    out_has "usage: reprise $command"
done

# ---- wrong use: 2, and a sentence that says what to do ----
expect 2
expect 2 forcast
err_has "did you mean 'forecast'?"
expect 2 forecast --model "$model" --input "$air" --horizn 24
err_has "did you mean --horizon?"
expect 2 forecast --model "$model" --input "$air"
err_has "--horizon H is missing"
expect 2 forecast --model "$model" --input "$air" --horizon
err_has "--horizon lacks its value"
expect 2 forecast --model "$model" --horizon=24 --input
err_has "--input lacks its value"
for number in 0 -3 1.5 many 4294967296 ""; do
    expect 2 forecast --model "$model" --input "$air" --horizon "$number"
    err_has "--horizon cannot be '$number'"
done
expect 2 forecast --model "$model" --input "$air" --horizon 4 --end 0
err_has "--end cannot be '0'"
expect 2 forecast --model "$model" --input "$air" --horizon 4 --precision f16
err_has "auto|f32|mixed"
expect 2 forecast --model "$model" --input "$air" --horizon 4 --memory 12Q
err_has "such as 2G"
expect 2 forecast --model "$model" --input "$air" --horizon 4 --quantiles 0.1,x
err_has "numbers separated by commas"
expect 2 forecast --model "$model" --input "$air" --horizon 4 --quantiles 1.5
err_has "quantiles are from 0 to 1"
expect 2 forecast --model "$model" --input "$air" --horizon 4 --mean --samples 8
err_has "--mean samples no paths"
expect 2 forecast --model "$model" --input "$air" --horizon 4 --mean=yes
err_has "--mean takes no value"
expect 2 forecast --model "$model" --input "$air" --horizon 4 --plot air.jpg
err_has ".svg or .png"
expect 2 forecast --model "$model" --input "$air" --horizon 4 --output air.txt
err_has ".csv or .json"
expect 2 forecast --model "$model" --input "$air" --horizon 4 --future-columns passengers
err_has "--future-columns needs --end"
expect 2 forecast air.csv
err_has "belongs to no option"
expect 2 devices -v
err_has "options begin with two dashes"

# ---- what is not there, or not right: 1 ----
expect 1 forecast --device "$device" --model "$here/none" --input "$air" --horizon 4
err_has "none"
expect 1 forecast --device "$device" --model "$model" --input "$here/none.csv" --horizon 4
err_has "cannot be opened"
expect 1 forecast --device nonsense --model "$model" --input "$air" --horizon 4
err_has "nonsense"
expect 1 forecast --device "$device" --model "$model" --input "$air" --horizon 4 --columns passenger
err_has "did you mean 'passengers'?"
expect 1 forecast --device "$device" --model "$model" --input "$air" --horizon 4 --columns month
err_has "it cannot be forecast"
expect 1 forecast --device "$device" --model "$model" --input "$air" --horizon 4 --end 145
err_has "the file has 144 rows"
printf 'day,close\n2024-01-01,1\n2024-01-02,oops\n2024-01-03,3\n2024-01-04,4\n' >"$here/text.csv"
expect 1 forecast --device "$device" --model "$model" --input "$here/text.csv" --horizon 4
err_has "row 2 (line 3), column 'close': 'oops' is not a number"
expect 1 forecast --device "$device" --model "$model" --input "$air" --horizon 4 --samples 4 --output "$here/no/such/folder.csv"
err_has "cannot be written"
expect 1 forecast --device "$device" --model "$model" --input "$air" --horizon 4 --samples 4 --plot "$here/no/such/folder.svg"
err_has "cannot be written"

# ---- devices, inspect ----
expect 0 devices
out_has "ref"
expect 0 inspect --device "$device" --model "$model" --context 512 --horizon 64 --variates 2 --samples 16
out_has "toto"
out_has "patch 16"
out_has "forecaster"

# ---- a model of quantiles ----
blocks=$(dirname "$reprise")/golden/toto2-tiny
expect 0 inspect --device "$device" --model "$blocks" --context 64 --horizon 40 --block 16
out_has "quantiles 9"
expect 0 forecast --device "$device" --model "$blocks" --input "$air" --horizon 20 --end -20 --block 8 --output "$here/blocks.csv"
out_has "paths     none: the model gives quantiles"
out_has "in 80 %"
head -1 "$here/blocks.csv" | grep -qx "month,variate,median,q0.1,q0.5,q0.9,actual" || die "blocks.csv begins with '$(head -1 "$here/blocks.csv")'"
expect 0 forecast --device "$device" --model "$blocks" --input "$air" --horizon 20 --quantiles 0.25,0.5 --scaler-fallback-min-obs 8 \
    --quantile-real-cap-k 1 --plot "$here/blocks.svg"
grep -q "</svg>" "$here/blocks.svg" || die "blocks.svg is not whole"
expect 1 forecast --device "$device" --model "$blocks" --input "$air" --horizon 20 --quantiles 0.05
err_has "from 0.1 to 0.9"
expect 1 forecast --device "$device" --model "$blocks" --input "$air" --horizon 20 --block 12
err_has "multiple of 8"
expect 2 forecast --device "$device" --model "$blocks" --input "$air" --horizon 20 --samples 10
err_has "samples no paths"
expect 2 forecast --device "$device" --model "$model" --input "$air" --horizon 20 --block 16
err_has "--block is for Toto 2.0"
expect 0 verify --device ref "$blocks"
out_has "expect.block8"
expect 0 compare --devices "ref,$device" --variates 2 --horizon 40 --block 16 "$blocks"
out_has "quantiles 9"
out_has "0 nodes out of tolerance"
out_has "of the series: median"
expect 0 trace --device "$device" --model "$blocks" --input "$air" --horizon 20 --block 8 --output "$here/blocks-trace.json"
grep -q '"last round"\|round' "$here/blocks-trace.json" || die "the trace of a forecast in blocks has no rounds"
expect 1 trace --device "$device" --model "$blocks" --input "$air" --horizon 20 --samples 3 --output "$here/blocks-trace.json"
err_has "samples no paths"
expect 0 dump --model "$blocks" --horizon 40 --block 16 --graph "last round"
out_has "block_result"

# ---- doctor ----
# What is healthy depends on the machine, so only what must hold everywhere is looked at: a report, and its exit code.
"$reprise" doctor --device "$device" --models "$model" "$kronos" >"$here/out" 2>"$here/err"
code=$?
[ $code -le 1 ] || die "doctor returned $code"
out_has "ok    list      ref"
out_has "ok    golden    ref"
out_has "together"
grep -q '^healthy$' "$here/out" && [ $code -ne 0 ] && die "doctor is healthy and returns $code"
grep -q '^not healthy' "$here/out" && [ $code -ne 1 ] && die "doctor is not healthy and returns $code"
expect 1 doctor --device ref --models "$here/none"
out_has "model-fails"
out_has "none is not a folder"
out_has "not healthy"
expect 2 doctor --limit 0
err_has "--limit cannot be '0'"
"$reprise" doctor --json --models "$model" >"$here/doctor.json" 2>"$here/err"
if command -v python3 >/dev/null 2>&1; then
    python3 - "$here/doctor.json" <<'PYTHON' 2>"$here/err" || die "the doctor's JSON is not as promised"
import json, sys
j = json.load(open(sys.argv[1]))
assert j["healthy"] == (not any(f["problem"] for f in j["findings"])), j
ref = [d for d in j["devices"] if d["spec"] == "ref"][0]
assert ref["available"] and ref["memory_bytes"] is None, ref
steps = {(s["step"], s["subject"]): s for s in j["steps"]}
assert steps["ops", "ref"]["good"] and steps["golden", "ref"]["seconds"] < steps["golden", "ref"]["limit_seconds"], steps
model = [s for s in j["steps"] if s["step"] == "model"][0]
assert model["good"] and model["family"] == "toto" and model["device_bytes"] > 1e6, model
PYTHON
fi

# ---- compare, trace ----
expect 0 compare --devices "ref,$device" --context 33 --horizon 20 "$model"
out_has "0 nodes out of tolerance"
out_has "worst nodes"
out_has "forecast, in standard deviations of the series"
expect 0 compare --devices "$device,ref" --horizon 3 --samples 2 --rows 3 "$kronos"
out_has "0 nodes out of tolerance"
expect 0 compare --devices ref,ref --precision mixed --mean "$model"
out_has ", mixed, "
expect 0 compare --devices ref,ref --precision mixed --context 40 --horizon 3 --samples 2 "$kronos"
out_has ", mixed, "
out_has "0 nodes out of tolerance"
expect 0 verify --device ref --precision mixed "$(dirname "$reprise")/golden/kronos-tiny-fixedte"
out_has "11 passed, 0 failed"
expect 1 inspect --device ref --precision mixed --model "$kronos"
err_has "Precision mixed is not available on ref"
expect 2 compare --devices ref "$model"
err_has "--devices takes two"
expect 2 compare --devices ref,ref
err_has "which model?"
expect 1 compare --devices ref,abacus "$model"
err_has "abacus"
expect 0 trace --device "$device" --model "$model" --input "$air" --horizon 24 --samples 8 --output "$here/trace.json"
out_has "create forecaster"
out_has "forecast, node by node"
expect 0 trace --device "$device" --model "$kronos" --input "$sse" --context 40 --horizon 3 --samples 2 --output "$here/bars.json"
if command -v python3 >/dev/null 2>&1; then
    python3 - "$here/trace.json" "$here/bars.json" <<'PYTHON' 2>"$here/err" || die "the timeline is not as promised"
import json, sys
for path, layer in zip(sys.argv[1:], ("layer 0 mlp in", "encoder 0 rope")):
    events = [e for e in json.load(open(path))["traceEvents"] if e["ph"] == "X"]
    names = [e["name"] for e in events]
    for name in ("open device", "load model", "create forecaster", "record 'prompt'", "forecast", "prompt", layer): assert name in names, name
    for track in (1, 2):
        stack, last = [], 0
        for e in (e for e in events if e["tid"] == track):
            assert e["ts"] >= last and e["dur"] >= 0, e
            while stack and stack[-1] <= e["ts"]: stack.pop()
            assert not stack or e["ts"] + e["dur"] <= stack[-1] + 1e-3, e
            stack.append(e["ts"] + e["dur"])
            last = e["ts"]
PYTHON
fi
expect 1 trace --device "$device" --model "$model" --input "$air" --horizon 4 --samples 2 --output "$here/no/such/folder.json"
err_has "cannot be written"
expect 2 trace --model "$model" --input "$air" --horizon 4
err_has "--output FILE.json is missing"

# ---- the demo ----
expect 0 forecast --device "$device" --precision f32 --model "$model" --input "$air" --horizon 24 --end -24 --plot "$here/air.svg"
out_has "1959-01-01"
out_has "1960-12-01"
out_has "median"
out_has "71.3"
# The original's error is 40.5 with 8192 paths; 256 of them scatter by about one.
awk '/^passengers +[0-9]/ { found = 1; if ($2 < 35 || $2 > 45) exit 1 } END { exit !found }' "$here/out" || die "the error is not near 40.5"
grep -q '^<?xml' "$here/air.svg" && grep -q '</svg>' "$here/air.svg" || die "the picture is no SVG"
if command -v xmllint >/dev/null 2>&1; then
    xmllint --noout "$here/air.svg" 2>"$here/err" || die "the SVG is not well-formed"
fi

# ---- the same forecast as files ----
run="--device $device --precision f32 --horizon 24 --end -24 --seed 7 --samples 32"
expect 0 forecast $run --model "$model" --input "$air" --output "$here/a.csv" --plot "$here/a.png" --quantiles 0.9,0.1
[ "$(head -c 4 "$here/a.png" | od -An -tx1 | tr -d ' ')" = 89504e47 ] || die "the picture is no PNG"
[ "$(head -n 1 "$here/a.csv")" = "month,variate,mean,q0.1,q0.9,actual" ] || die "the CSV has another header: $(head -n 1 "$here/a.csv")"
[ "$(wc -l <"$here/a.csv")" -eq 25 ] || die "the CSV should have 25 lines"
awk -F, 'NR > 1 && !($4 < $3 && $3 < $5) { exit 1 }' "$here/a.csv" || die "a mean lies outside its 80 % interval"
expect 0 forecast $run --model "$model" --input "$air" --output "$here/b.csv" --quantiles 0.1,0.9
cmp -s "$here/a.csv" "$here/b.csv" || die "the same seed gave other numbers"
expect 0 forecast $run --model "$model" --input "$air" --output "$here/a.json"
if command -v python3 >/dev/null 2>&1; then
    python3 - "$here/a.json" <<'PYTHON' 2>"$here/err" || die "the JSON is not as promised"
import json, sys
j = json.load(open(sys.argv[1]))
v = j["variates"][0]
assert j["seed"] == "7" and j["paths"] == 32 and j["precision"] == "f32" and len(j["times"]) == 24, j
assert j["times"][0] == "1959-01-01" and v["name"] == "passengers" and len(v["mean"]) == 24, v
assert sorted(v["quantiles"]) == ["0.1", "0.5", "0.9"] and v["actual"][0] == 360, v
assert abs(v["scores"]["seasonal_naive_mae"] - 71.25) < 1e-9, v
PYTHON
fi
expect 0 forecast --device "$device" --model "$model" --input "$air" --horizon 3 --mean --output "$here/mean.csv"
[ "$(head -n 1 "$here/mean.csv")" = "month,variate,mean" ] || die "mean mode should write no quantiles"
grep -q '^1961-03-01,' "$here/mean.csv" || die "the months do not go on to March 1961"

# ---- another file: semicolons, decimal commas, CRLF, a BOM, no value here and there, a known future ----
awk 'BEGIN { printf "\357\273\277\"Tag\";\"Wert, kWh\";Feiertag;Notiz\r\n"
             for (i = 0; i < 60; i++) {
                 value = i % 9 == 4 ? "" : sprintf("%d,%d", 20 + i % 7, i % 10)
                 printf "2024-%02d-%02d;%s;%d;ab\r\n", i < 31 ? 1 : i < 60 ? 2 : 3, i < 31 ? i + 1 : i - 30, value, (i % 7 > 4) } }' >"$here/de.csv"
expect 0 forecast --device "$device" --model "$model" --input "$here/de.csv" --horizon 7 --end -7 --samples 16 \
    --future-columns Feiertag --output "$here/de.out.csv" --plot "$here/de.png"
err_has "column 'Notiz' does not hold numbers and is left out"
[ "$(head -n 1 "$here/de.out.csv")" = "Tag,variate,mean,q0.1,q0.5,q0.9,actual" ] || die "another header than expected"
grep -q '^2024-02-29,"Wert, kWh",' "$here/de.out.csv" || die "the last day should be 2024-02-29 with its name quoted"
grep -q Feiertag "$here/de.out.csv" && die "a column with a known future should not be forecast"
expect 1 forecast --device "$device" --model "$model" --input "$here/de.csv" --horizon 8 --end -7 --future-columns Feiertag
err_has "the file ends before row 61"

# ---- bars: the same command, the folder says that it is Kronos ----
expect 0 inspect --device "$device" --model "$kronos"
out_has "family      kronos"
out_has "tokenizer   width 128, layers 3 + 3"
out_has "context 384, horizon 128"
expect 0 inspect --device "$device" --model "$kronos/model" --tokenizer "$kronos/tokenizer" --context 168 --horizon 24 --samples 16
out_has "forecaster"
expect 2 inspect --device "$device" --model "$kronos" --variates 6
err_has "leave out --variates"
expect 1 inspect --device "$device" --model "$model" --tokenizer "$kronos/tokenizer"
err_has "has no tokenizer"
cp -r "$kronos/model" "$here/alone"
expect 1 forecast --device "$device" --model "$here/alone" --input "$sse" --horizon 4
err_has "--tokenizer"

# What a family does not have is refused: 2, and a sentence.
for option in "--columns close" "--season 5" "--columns close --future-columns open --end -9"; do
    expect 2 forecast --device "$device" --model "$kronos" --input "$sse" --horizon 4 $option
    err_has "is a model of bars"
done
for option in "--future $sse" "--calendar sessions" "--temperature 2" "--top-k 5" "--top-p 0.5"; do
    expect 2 forecast --device "$device" --model "$model" --input "$air" --horizon 4 $option
    err_has "is for models of bars"
done
expect 2 forecast --device "$device" --model "$kronos" --input "$sse" --horizon 4 --top-p 1.5
err_has "--top-p is 1.5"
expect 2 forecast --device "$device" --model "$kronos" --input "$sse" --horizon 4 --temperature 0
err_has "a number above 0"
expect 2 forecast --device "$device" --model "$kronos" --input "$sse" --horizon 4 --mean --top-k 3
err_has "--mean takes the likeliest tokens"
expect 2 forecast --device "$device" --model "$kronos" --input "$sse" --horizon 4 --calendar lunar
err_has "24x7|weekdays|sessions"

# Files that hold no bars: 1, and the row where there is one.
expect 1 forecast --device "$device" --model "$kronos" --input "$air" --horizon 4
err_has "has no column 'open'"
expect 1 forecast --device "$device" --model "$kronos" --input "$sse" --horizon 513
err_has "the model sees 512 bars at once"
expect 1 forecast --device "$device" --model "$kronos" --input "$sse" --horizon 4 --end 1
err_has "row 1 is the only bar"
expect 1 forecast --device "$device" --model "$kronos" --input "$sse" --horizon 4 --end -8 --future "$sse"
err_has "have their own times"
expect 1 forecast --device "$device" --model "$kronos" --input "$sse" --horizon 4 --future "$sse"
err_has "is not later than the last bar"
awk -F, -v OFS=, 'NR == 2400 { $5 = -1 } { print }' "$sse" >"$here/bad.csv"
expect 1 forecast --device "$device" --model "$kronos" --input "$here/bad.csv" --horizon 4
err_has "row 2399 (line 2400), column 'close': -1 is no price"
awk 'NR == 2400 { kept = $0; next } { print } NR == 2401 { print kept }' "$sse" >"$here/bad.csv"
expect 1 forecast --device "$device" --model "$kronos" --input "$here/bad.csv" --horizon 4
err_has "row 2400 (line 2401), column 'timestamps'"

# Held-out rows: their times, scores beside the last value, a picture.
bars="--device $device --context 168 --samples 8 --seed 7 --top-p 0.9"
expect 0 forecast $bars --model "$kronos" --input "$sse" --horizon 24 --end -24 --plot "$here/k.svg"
out_has "2024-08-29 11:30:00 (times from the file)"
out_has "paths     8, seed 7, temperature 1, top-p 0.9"
out_has "last value"
grep -q seasonal "$here/out" && die "bars should not be compared with a season"
for column in open high low close volume amount; do
    awk -v c=$column '$1 == c && NF > 8 { found = 1 } END { exit !found }' "$here/out" || die "column $column has no scores"
done
# The close is a random walk: an error far from that of the last value, 0.033, means that something is broken.
awk '$1 == "close" && NF > 8 { if ($2 > 0.1 || $3 != 0.0333) exit 1 }' "$here/out" || die "the error of the close is not near 0.033"
grep -q '</svg>' "$here/k.svg" || die "the picture is no SVG"

# The file goes on: sessions are found, asked for, or not wanted; the times of a file are taken as they are.
expect 0 forecast $bars --model "$kronos" --input "$sse" --horizon 3 --output "$here/k.csv"
out_has "(calendar sessions)"
[ "$(head -n 1 "$here/k.csv")" = "timestamps,variate,mean,q0.1,q0.5,q0.9" ] || die "another header: $(head -n 1 "$here/k.csv")"
[ "$(wc -l <"$here/k.csv")" -eq 19 ] || die "six columns of three bars should be 19 lines"
grep -q '^2024-08-29 13:05:00,open,' "$here/k.csv" || die "the bar after 11:30 should be at 13:05"
expect 0 forecast $bars --model "$kronos" --input "$sse" --horizon 3 --calendar 24x7 --output "$here/k24.csv"
grep -q '^2024-08-29 11:35:00,close,' "$here/k24.csv" || die "the bar after 11:30 should be at 11:35"
cmp -s "$here/k.csv" "$here/k24.csv" && die "the calendar makes no difference"
printf 'timestamps\n2024-08-29 13:05:00\n2024-08-29 13:10:00\n2024-08-29 13:15:00\n2024-08-30 09:35:00\n' >"$here/future.csv"
expect 0 forecast $bars --model "$kronos" --input "$sse" --horizon 3 --future "$here/future.csv" --output "$here/kf.csv"
cmp -s "$here/k.csv" "$here/kf.csv" || die "the same times gave another forecast"
expect 1 forecast $bars --model "$kronos" --input "$sse" --horizon 5 --future "$here/future.csv"
err_has "has 4 rows, but 5 bars are to be forecast"

# Zones: the same clock on the wall gives the same numbers; without a volume four columns are left.
awk -F, -v OFS=, 'NR > 1 { sub(" ", "T", $1); $1 = $1 "+08:00" } { print }' "$sse" >"$here/zone.csv"
expect 0 forecast $bars --model "$kronos" --input "$here/zone.csv" --horizon 3 --output "$here/kz.csv"
sed 's/T\(..:..:..\)+08:00/ \1/' "$here/kz.csv" | cmp -s - "$here/k.csv" || die "a time zone changed the numbers"
{ echo time,Open,High,Low,Close; tail -n 300 "$sse" | cut -d, -f1-5; } >"$here/four.csv"
expect 0 forecast $bars --model "$kronos" --input "$here/four.csv" --horizon 3 --plot "$here/four.png" --output "$here/four.out.csv"
err_has "no column 'volume'"
[ "$(wc -l <"$here/four.out.csv")" -eq 13 ] || die "four columns of three bars should be 13 lines"

# Greedy, twice over; and a choice of one token is the same.
expect 0 forecast --device "$device" --model "$kronos" --input "$sse" --context 64 --horizon 4 --mean --output "$here/greedy.csv"
out_has "the likeliest tokens"
expect 0 forecast --device "$device" --model "$kronos" --input "$sse" --context 64 --horizon 4 --top-k 1 --samples 2 --output "$here/one.csv"
cut -d, -f1-3 "$here/one.csv" | cmp -s - "$here/greedy.csv" || die "--top-k 1 and --mean differ"
expect 0 forecast $bars --model "$kronos" --input "$sse" --horizon 3 --end -3 --temperature 0.5 --output "$here/k.json"
if command -v python3 >/dev/null 2>&1; then
    python3 - "$here/k.json" <<'PYTHON' 2>"$here/err" || die "the JSON of bars is not as promised"
import json, sys
j = json.load(open(sys.argv[1]))
assert j["family"] == "kronos" and j["temperature"] == 0.5 and j["top_p"] == 0.9 and j["calendar"] == "file", j
assert [v["name"] for v in j["variates"]] == ["open", "high", "low", "close", "volume", "amount"], j
s = j["variates"][3]["scores"]
assert s["values"] == 3 and "mase" not in s and s["last_value_mae"] > 0, s
PYTHON
fi

# ---- backtest: windows of the past, in batches; what each number is, tests/metrics.c knows ----
back="backtest --device $device --precision f32 --context 48 --horizon 16 --samples 16 --seeds 2 --repeats 2"
expect 2 backtest --model "$model" --input "$air" --horizon 4
err_has "--context N is missing"
expect 2 backtest --model "$model" --input --context 4 --horizon 4
err_has "--input lacks its value"
expect 2 $back --model "$model" --input "$air" --fresh
err_has "--report or --results"
expect 2 $back --model "$model" --input "$air" --top-k 3
err_has "is for models of bars"
expect 2 $back --model "$kronos" --input "$sse" --columns close
err_has "is a model of bars"
expect 1 $back --model "$model" --input "$air" --baseline "$here/none.json"
err_has "make it with --save-baseline"
expect 1 $back --model "$model" --input "$here/none.csv" "$here/text.csv" --report "$here/nothing"
err_has "none.csv cannot be opened"
err_has "text.csv: row 2 (line 3), column 'close': 'oops' is not a number"
[ -f "$here/nothing/index.html" ] && die "a page was written of nothing"

# A bad file is skipped and the exit code says so; a file given twice counts once.
cp "$air" "$here/again.csv"
expect 3 $back --model "$model" --input "$air" "$here/text.csv" "$here/again.csv" --windows 3 --save-baseline "$here/base.json" --report "$here/report"
err_has "text.csv"
err_has "holds the same as"
err_has "2 of 3 files were skipped"
out_has "3 of 1 file: context 48, horizon 16, every 16 rows"
out_has "0 re-recordings"
out_has "σ/mean"
awk '/^air_passengers.csv/ { found = 1; if ($2 != 3 || $3 < 20 || $3 > 80) exit 1 } END { exit !found }' "$here/out" || die "the MAE is not near 45"
page=$here/report/index.html
grep -q '<svg' "$page" && grep -q '</html>' "$page" || die "the page has no charts"
grep -Eiq 'https?:|<script|<link|@import|src=' "$page" && die "the page asks for something outside of it"
if command -v xmllint >/dev/null 2>&1; then
    sed 's/<!DOCTYPE html>//; s/<meta [^>]*>//g; s/<br>/<br\/>/g; s/<details open>/<details>/g' "$page" >"$here/page.xml"
    xmllint --noout "$here/page.xml" 2>"$here/err" || die "the elements of the page do not close"
fi

# The same windows in other batches, beside other files, with records of some of them: the same numbers, as the baseline says.
exact="--baseline $here/base.json --accuracy-tolerance 1e-9 --coverage-tolerance 1e-9 --speed-tolerance 1e9"
expect 0 $back --model "$model" --input "$air" --windows 3 --batch 1 $exact
out_has "0 measures worse beyond tolerance, 0 better"
tail -n +2 "$air" | head -n 100 | awk -F, 'BEGIN { print "month,one,two" } { print $1 "," $2 "," 1000 - $2 }' >"$here/two.csv"
expect 0 $back --model "$model" --input "$here/two.csv" "$air" --windows 3 --batch 2 $exact --report "$here/report"
out_has "1 file from records"
out_has "0 measures worse beyond tolerance, 0 better"
out_has "the baseline has other files: 1 of its 1 files are among the 2 of this run"
expect 0 $back --model "$model" --input "$here/two.csv" "$air" --windows 3 --report "$here/report"
out_has "2 files from records"
expect 0 $back --model "$model" --input "$here/two.csv" "$air" --windows 3 --report "$here/report" --fresh
grep -q "from records" "$here/out" && die "--fresh took records"
expect 0 $back --model "$model" --input "$here/two.csv" --windows 3 --seed 5 --results "$here/report/results"
err_has "was made with other options"

# Worse than the baseline: 2, and a table. Other questions are not compared.
sed 's/"mae":.*/"mae": 0.001,/' "$here/base.json" >"$here/better.json"
expect 2 $back --model "$model" --input "$air" --windows 3 --baseline "$here/better.json" --speed-tolerance 1e9
out_has "WORSE"
awk '/^overall +MAE .*WORSE$/ { found = 1 } END { exit !found }' "$here/out" || die "the table does not name the MAE"
sed 's/"ms_per_window":.*/"ms_per_window": 1e-9,/' "$here/base.json" >"$here/faster.json"
expect 2 $back --model "$model" --input "$air" --windows 3 --baseline "$here/faster.json"
out_has "1 measure worse beyond tolerance"
expect 1 $back --model "$model" --input "$air" --windows 2 --baseline "$here/base.json"
err_has "was made with windows 3, but now it is 2"

# Missing values: windows without context or without anything to compare with are passed over.
awk -F, -v OFS=, 'NR > 97 && NR < 146 { $2 = "" } { print }' "$air" >"$here/holes.csv"
expect 0 $back --model "$model" --input "$here/holes.csv" --windows 2
err_has "windows are passed over; of the first, the rows 129 to 144 have no value to compare with"
awk '/^holes.csv/ { found = 1; if ($2 != 2) exit 1 } END { exit !found }' "$here/out" || die "two windows should be left"
expect 0 $back --model "$model" --input "$here/de.csv" --windows 1 --context 30 --horizon 7 --future-columns Feiertag --season 7

# Bars of two files in one batch.
expect 0 backtest --device "$device" --model "$kronos" --input "$sse" "$source/data/AAPL_1d.csv" --context 32 --horizon 4 --windows 2 --samples 4 \
    --seeds 1 --repeats 1 --top-p 0.9 --save-baseline "$here/bars.json"
out_has "4 of 2 files"
out_has "one seed"
awk -F, -v OFS=, 'NR == 2498 { $5 = -1 } { print }' "$sse" >"$here/bad.csv"
expect 0 backtest --device "$device" --model "$kronos" --input "$here/bad.csv" --context 32 --horizon 4 --step 2 --windows 2 --samples 4 --seeds 1 --repeats 1
err_has "passed over; of the first, row 2497 (line 2498), column 'close': -1 is no price"
# A model of quantiles: nothing is sampled, and beyond its quantiles nothing is said.
blocks_back="backtest --device $device --precision f32 --context 48 --horizon 16 --repeats 2 --model $blocks --input $air --block 8"
expect 0 $blocks_back --save-baseline "$here/blocks.json" --report "$here/blocks"
out_has "quantiles 9, from 0.1 to 0.9"
awk '/^air_passengers.csv/ { found = 1; if ($(NF - 1) != "-" || $NF != "-" || $(NF - 2) != "%") exit 1 } END { exit !found }' \
    "$here/out" || die "the 90 % interval of nine quantiles should be '-': $(grep ^air_ "$here/out")"
expect 0 $blocks_back --baseline "$here/blocks.json" --results "$here/blocks/results" --speed-tolerance 900
out_has "1 file from records"
expect 1 $blocks_back --quantile-real-cap-k 2 --baseline "$here/blocks.json"
err_has "was made with quantile_real_cap_k 0, but now it is 2"
expect 2 $blocks_back --samples 4
err_has "samples no paths; leave out --samples"
expect 2 $blocks_back --seeds 2
err_has "samples no paths; leave out --seeds"
expect 2 $back --model "$model" --input "$air" --scaler-fallback-min-obs 3
err_has "--scaler-fallback-min-obs is for Toto 2.0"
if command -v python3 >/dev/null 2>&1; then
    python3 - "$here/base.json" "$here/bars.json" <<'PYTHON' 2>"$here/err" || die "a baseline is not as promised"
import json, sys
j = json.load(open(sys.argv[1]))
o, f = j["overall"], j["files"][0]
assert j["question"]["seeds"] == 2 and j["question"]["seed"] == "0" and len(j["files"]) == 1, j
assert o["windows"] == 3 and o["values"] == 3 * 16 * 2 and o["mae"] == f["mae"] and f["name"] == "air_passengers.csv", o
assert f["season"] == 12 and f["variates"][0]["crps"] == f["crps"] and 0 < o["crps"] < o["mae"] < o["last_value_mae"], f
assert o["mae_deviation_over_seeds"] > 0 and j["speed"]["ms_per_window"] > 0 and j["speed"]["re_recordings"] == 0, j
j = json.load(open(sys.argv[2]))
assert [len(f["variates"]) for f in j["files"]] == [6, 6] and j["overall"]["mae_deviation_over_seeds"] is None, j
PYTHON
fi

# The same measures worked out again, from the quantiles that a record keeps of windows that do not overlap.
expect 0 $back --model "$model" --input "$air" --seeds 1 --results "$here/again" --save-baseline "$here/again.json"
if command -v python3 >/dev/null 2>&1; then
    python3 - "$air" "$here"/again/air_passengers.csv-*.json "$here/again.json" <<'PYTHON' 2>"$here/err" || die "the measures are not those of the record"
import csv, json, sys
y = [float(row[1]) for row in list(csv.reader(open(sys.argv[1])))[1:]]
record, base = json.load(open(sys.argv[2])), json.load(open(sys.argv[3]))["files"][0]
H, n, sums = 16, 0, [0.0] * 9
assert len(y) == 144 and len(record["pictures"]) == 6 == base["windows"]
for picture in record["pictures"]:
    end, q = picture["end"], picture["quantiles"]      # [levels, H]: 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95
    scale = sum(abs(y[t] - y[t - 12]) for t in range(12, end)) / (end - 12)
    for h in range(H):
        actual, median = y[end + h], q[3 * H + h]
        seasonal, n = y[end - 12 + h % 12], n + 1
        for i, term in enumerate([abs(median - actual), abs(seasonal - actual), abs(y[end - 1] - actual), 100 * abs(median - actual) / actual,
                                  200 * abs(median - actual) / (abs(median) + actual), abs(median - actual) / scale,
                                  100 * (q[2 * H + h] <= actual <= q[4 * H + h]), 100 * (q[1 * H + h] <= actual <= q[5 * H + h]),
                                  100 * (q[0 * H + h] <= actual <= q[6 * H + h])]):
            sums[i] += term
keys = ["mae", "seasonal_naive_mae", "last_value_mae", "mape_percent", "smape_percent", "mase", "inside_50_percent", "inside_80_percent",
        "inside_90_percent"]
for key, total in zip(keys, sums):   # the record's quantiles are rounded to float32: below 1024 by at most 2^-15
    assert abs(base[key] - total / n) < 2 ** -15, (key, base[key], total / n)
assert base["values"] == n, n
PYTHON
fi

# Stopped in the middle: what is finished is reported and kept, and the same command goes on from there. The second file would
# take minutes; the first is done as soon as its record is there. (SIGTERM: shells let background jobs ignore SIGINT.)
head -n 65 "$air" >"$here/short.csv"
long="backtest --device $device --model $model --input $here/short.csv $source/data/AAPL_1d.csv --context 48 --horizon 16 --step 1"
long="$long --samples 256 --seeds 50 --batch 8 --report $here/stopped"
"$reprise" $long >"$here/out" 2>"$here/err" &
job=$!
tries=0
until ls "$here"/stopped/results/short.csv-*.json >/dev/null 2>&1; do
    sleep 0.1
    tries=$((tries + 1))
    [ $tries -lt 1200 ] || die "no record was written"
done
kill -TERM $job
wait $job
got=$?
[ $got -eq 143 ] || die "a backtest that was stopped returned $got where 143 was expected"
err_has "stopped by SIGTERM: 1 of 2 files are finished; the same command goes on from here"
out_has "1 of 1 file"
grep -q "Stopped before the end" "$here/stopped/index.html" || die "the page does not say that it is not whole"
ls "$here"/stopped/*.part "$here"/stopped/results/*.part >/dev/null 2>&1 && die "half a file was left behind"
expect 0 backtest --device "$device" --model "$model" --input "$here/short.csv" --context 48 --horizon 16 --step 1 --samples 256 --seeds 50 --report "$here/stopped"
out_has "1 file from records"

# ---- bench: small rows with weights of its own, which are gone afterwards ----
mkdir "$here/tmp"
TMPDIR=$here/tmp expect 0 bench --device ref --rows X2,X1 --repeat 3 --ops --check --json "$here/bench.json"
out_has "toto-tiny: "
out_has "kronos-tiny: "
err_has "not compared with itself"
out_has "checked: two forecasts with the same bits"
out_has "after the first forecast 0; buffers allocated after create 0"
out_has "sum of its launches"
[ -z "$(ls -A "$here/tmp")" ] || die "bench leaves its weights behind: $(ls "$here/tmp")"
if command -v python3 >/dev/null 2>&1; then
    python3 - "$here/bench.json" <<'PYTHON' 2>"$here/err" || die "the JSON of bench is not as promised"
import json, sys
def refuse(text): raise ValueError(text)
j = json.load(open(sys.argv[1]), parse_constant=refuse)
assert j["schema"] == "reprise-bench-1" and j["date"].endswith("Z") and j["device"]["driver"], j
assert [m["model"] for m in j["models"]] == ["toto-tiny", "kronos-tiny"], j
for m in j["models"]:
    assert m["precision"] == "f32" and m["load_ms"] > 0 and m["copy_bytes_per_s"] > 0 and m["matrix_flops_per_s"] > 0, m
    assert 0 < m["weights_bytes"] <= m["load_peak_bytes"], m
    (r,) = m["rows"]
    ms = r["ms"]
    assert ms["n"] == 3 and 0 < ms["min"] <= ms["median"] <= ms["max"] and ms["min"] <= ms["mean"] <= ms["max"], r
    assert r["check"]["finite"] and r["check"]["same_bits"], r
    assert r["recordings"] > 0 and r["recordings_after_first"] == 0 and r["allocations_after_create"] == 0, r
    assert r["peak_bytes"] == m["weights_bytes"] + r["forecaster_bytes"], r
    assert r["bytes"] == sum(g["replays"] * g["bytes"] for g in r["graphs"]), r
    assert r["flops"] == sum(g["replays"] * g["flops"] for g in r["graphs"]), r
    steps = [g for g in r["graphs"] if g["name"].startswith("step") and g["replays"]]
    assert [g["replays"] for g in steps] == [{"X1": 2, "X2": 7}[r["row"]]], r
    for g in r["graphs"]:
        assert ("ops" in g) == (g["replays"] > 0), g
        if "ops" in g:
            assert abs(sum(o["us"] * o["launches"] for o in g["ops"]) - g["ops_us"]) <= 1e-6 * g["ops_us"], g
            assert sum(o["launches"] for o in g["ops"]) <= g["nodes"] and sum(o["flops"] * o["launches"] for o in g["ops"]) == g["flops"], g
PYTHON
fi
expect 0 bench --device "$device" --precision f32 --rows X1 --repeat 2 --ops --check --weights "$here/kept"
out_has "after the first forecast 0; buffers allocated after create 0"
out_has "sum of its launches"
expect 0 bench --device "$device" --model "$here/kept/toto-tiny" --repeat 1
out_has "X1 "
expect 1 bench --device "$device" --model "$here/kept/toto-tiny" --rows T1
err_has "none of the rows asked for"
expect 1 bench --device "$device" --model "$model"
err_has "has none of the sizes of the table"
expect 2 bench --rows T9
err_has "did you mean T1?"
expect 2 bench --model "$model" --weights "$here/kept"
err_has "leave out --weights"
TMPDIR=$here/none expect 1 bench --device "$device" --rows X1
err_has "cannot be written"

echo "cli: all is well"
