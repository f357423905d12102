#!/bin/sh
# Real weights of Kronos-small against outputs of the original code: real.sh PROGRAM SOURCE_DIR [DEVICE]
# RP_KRONOS_SMALL names the folder that holds them as `model` and `tokenizer` (NeoQuasar/Kronos-small, Kronos-Tokenizer-base);
# without it there is nothing to test, which is said (exit code 77).
set -eu
if [ -z "${RP_KRONOS_SMALL:-}" ]; then
    echo "skipped: RP_KRONOS_SMALL names no folder with the real weights of Kronos-small and its tokenizer"
    exit 77
fi
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
for want in "$2"/tests/golden-real/kronos-small/*.csv; do
    rows=${want##*_}
    rows=${rows%.csv}
    "$1" forecast --model "$RP_KRONOS_SMALL" --input "$2/data/sse600977_5min.csv" --end "$rows" --context "$rows" --horizon 8 \
        --top-k 1 --samples 1 --device "${3:-auto}" --precision f32 --output "$here/got.csv" >/dev/null
    awk -F, -v name="$want" '
        NR == FNR { if (FNR == 1) { for (i = 2; i <= NF; i++) { column[i] = $i } } else { for (i = 2; i <= NF; i++) { want[$1, column[i]] = $i; n++ } } next }
        FNR > 1 && ($1, $2) in want {
            w = want[$1, $2]; error = $3 > w ? $3 - w : w - $3; seen++
            if (!(error <= 1e-5 * (w < 0 ? -w : w))) { printf "%s: %s %s is %s, the original gives %s\n", name, $1, $2, $3, w; bad++ }
        }
        END { if (seen != n || n == 0) { printf "%s: %d of %d numbers found\n", name, seen, n; bad++ } exit bad > 0 }
    ' "$want" "$here/got.csv"
done
