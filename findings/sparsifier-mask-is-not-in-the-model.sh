#!/usr/bin/env bash
# PyTorch's WeightNormSparsifier keeps a mask in the model, as a buffer, and the masked model computes with the pruned weights. One expects
# `torch.save(model.state_dict())` to write that mask: buffers are what a state dictionary is for.
# It does not. The file has `parametrizations.weight.original`, with every weight, and nothing else of the pruning. `load_state_dict` of the same
# model then asks for the mask and refuses the file that the model wrote; with `strict=False` it makes the dense model of it.
# A user of dnw meets this when `dnw import` is given such a file: the pruned network is not in it. dnw says so and names the weights; the
# masks are in the sparsifier's own `state_dict()`, or written in as zeros by `squash_mask()` before saving.
#
# Installs torch from PyPI into a temporary folder (several GB on Linux, where it comes with CUDA; an index with CPU builds serves as well).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6

"$folder/venv/bin/python" - "$folder/model.pt" <<'PYTHON'
import sys

import torch
from torch.ao.pruning import WeightNormSparsifier


def prepared(level):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 4))
    sparsifier = WeightNormSparsifier(sparsity_level=level, sparse_block_shape=(1, 1), zeros_per_block=1)
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    return model, sparsifier


model, sparsifier = prepared(0.5)
sparsifier.step()
torch.save(model.state_dict(), sys.argv[1])
saved = torch.load(sys.argv[1], weights_only=True)
again, _ = prepared(0.5)
missing = again.load_state_dict(saved, strict=False).missing_keys

buffers = [name for name, _ in model.named_buffers()]
zeros = int((model[0].weight == 0).sum()), int((again[0].weight == 0).sum())
own = sparsifier.state_dict()["state"]["0.weight"]["mask"]
sparsifier.squash_mask()
squashed = int((model.state_dict()["0.weight"] == 0).sum())

print(f"torch {torch.__version__}")
print("guess: the file has `0.parametrizations.weight.0.mask`, and the model that is read back has 16 zeros of 32")
print(f"seen:  buffers {buffers}")
print(f"       file {sorted(saved)}, missing when read back: {missing}")
print(f"       zeros before saving {zeros[0]}, after reading back {zeros[1]}")
print(f"       zeros of the mask in the sparsifier's own state {int((own == 0).sum())}, in the file after squash_mask {squashed}")
as_described = (
    buffers == missing == ["0.parametrizations.weight.0.mask"]
    and sorted(saved) == ["0.bias", "0.parametrizations.weight.original"]
    and zeros == (16, 0)
    and int((own == 0).sum()) == squashed == 16
)
sys.exit(0 if as_described else "the behaviour has changed")
PYTHON
