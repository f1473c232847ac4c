#!/usr/bin/env bash
# Which of equal weights a program prunes is its own choice, but one expects one choice: always the first, or always the last.
# In PyTorch it depends on the size. `prune.l1_unstructured` drops entry 8 of ten equal weights and entry 0 of sixty-four, because
# `torch.topk` takes another path where 64 times the number asked for is at most the size. `Tensor.sort()` keeps the order of equal values
# up to 16 of them only: "sort by magnitude, drop the first half", as the published program of Discovering Neural Wirings does, keeps the
# last half of 16 equal weights and the first half of 32.
# A user of dnw meets this when comparing masks with PyTorch's where magnitudes repeat: signed-constant initial weights, weights read from
# a quantized file, zeros. dnw keeps the later of equal weights in every size, on every backend; `docs/rules.md` has the table.
#
# Installs torch from PyPI into a temporary folder (several GB on Linux, where it comes with CUDA; an index with CPU builds serves as well).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch
from torch.nn.utils import prune


def one_pruned(n):
    layer = torch.nn.Linear(n, 1, bias=False)
    layer.weight.data.fill_(1.0)
    prune.l1_unstructured(layer, "weight", amount=1)
    return int((layer.weight_mask[0] == 0).nonzero()[0])


def half_kept(n, **how):
    return sorted(torch.ones(n).sort(**how)[1][n // 2:].tolist())


pruned = {n: one_pruned(n) for n in (10, 63, 64, 1000)}
kept = {n: half_kept(n) for n in (10, 16, 32, 1000)}
stable = {n: half_kept(n, stable=True) for n in kept}
print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
print("guess: prune.l1_unstructured drops the same end of equal weights in every size, and so does sort()")
print("seen: ", ", ".join(f"of {n} it drops entry {entry}" for n, entry in pruned.items()))
for n in kept:
    print(f"       the upper half of {n} sorted ones: entries {kept[n][0]} to {kept[n][-1]}; stable=True: {stable[n][0]} to {stable[n][-1]}")
last = {n: list(range(n // 2, n)) for n in kept}
as_described = (
    pruned == {10: 8, 63: 41, 64: 0, 1000: 0}
    and stable == last
    and [kept[n] == last[n] for n in kept] == [True, True, False, False]
    and kept[1000] == list(range(500))
)
sys.exit(0 if as_described else "the behaviour has changed")
PYTHON
