#!/usr/bin/env python3
"""Compares the checkpoints that `reprise bench` makes with those of make_checkpoint.py: config.json, names, order, shapes and spread.

usage: test_bench_weights lists | bench_lists.py
"""
import json, sys
import make_checkpoint as reference

FREQUENCIES, POWERS, CONSTANT, RANDOM = 2, 3, 1, 0
TOKENIZERS = {"kronos-mini": "kronos-tokenizer-2k", "kronos-tiny": "kronos-tokenizer-tiny"}


def expected(kind, arg, unit):
    """(shape, fill, mean, std) of a tensor of make_checkpoint.py"""
    if kind == "const":
        return [], CONSTANT, arg, 0
    shape = list(arg)
    table = {"lin": (RANDOM, 0, 1.0 if unit or len(shape) < 2 else shape[1] ** -0.5), "bias": (RANDOM, 0, 0.05), "norm": (RANDOM, 1, 0.1),
             "emb": (RANDOM, 0, (shape[1] if len(shape) > 1 else 1) ** -0.5), "invfreq": (FREQUENCIES, 0, 0), "pow2": (POWERS, 0, 0)}
    return (shape,) + table[kind]


def main():
    seen = 0
    for line in sys.stdin:
        ours = json.loads(line)
        name = ours["model"]
        if ours["folder"] == "tokenizer":
            name = TOKENIZERS.get(name, "kronos-tokenizer")
        config = dict(reference.CONFIGS[name])
        unit = config["family"] == "toto2"
        theirs = reference.tensors(config)
        del config["family"]
        assert ours["config"] == config, (name, ours["config"], config)
        assert [t["name"] for t in ours["tensors"]] == list(theirs), name
        for t in ours["tensors"]:
            shape, fill, mean, std = expected(*theirs[t["name"]], unit)
            assert t["shape"][:t["dims"]] == shape and t["fill"] == fill, (name, t, shape, fill)
            assert abs(t["mean"] - mean) <= 1e-7 * abs(mean) and abs(t["std"] - std) <= 1e-7 * std, (name, t, mean, std)
        seen += 1
    assert seen == 15, seen
    print(f"{seen} checkpoints agree")


main()
