#!/usr/bin/env python3
"""Makes whole golden folders: each FOLDER's case.json and golden.safetensors, and the seeded weights that case.json names.

usage: make_goldens.py OUTDIR FOLDER...      into OUTDIR/NAME for each; of Kronos two folders, model and tokenizer (seed + 1)
"""
import json, os, shutil, sys

import make_checkpoint


def make(folder, out):
    os.makedirs(out, exist_ok=True)
    for name in ("case.json", "golden.safetensors"):
        shutil.copyfile(os.path.join(folder, name), os.path.join(out, name))
    with open(os.path.join(folder, "case.json")) as file:
        case = json.load(file)
    two = "tokenizer" in case
    make_checkpoint.make(case["config"], os.path.join(out, "model") if two else out, case["seed"])
    if two:
        make_checkpoint.make(case["tokenizer"], os.path.join(out, "tokenizer"), case["seed"] + 1)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for folder in sys.argv[2:]:
        make(folder, os.path.join(sys.argv[1], os.path.basename(os.path.normpath(folder))))
