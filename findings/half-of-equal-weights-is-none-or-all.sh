#!/usr/bin/env bash
# Asked for a sparsity of 50 %, a magnitude pruner is expected to keep half of a tensor, whatever its weights are.
# NNCF keeps what is above a threshold, and the threshold is one of the weights: of ten equal weights it keeps none, and at ratio 0 it still
# drops one of ten distinct ones. fasterai keeps what is at or above its threshold: of ten equal weights it keeps all, and 501 of 1000
# distinct ones. Neither says a word.
# A user of dnw meets this when moving a budget from one program to the other, above all with signed-constant initial weights, which all have one
# magnitude (Ramanujan et al. 2020). A budget in dnw is exact: 50 % of ten equal weights are five, of 1000 are 500. The table in
# `docs/rules.md` says which setting gives the count of which program.
#
# Installs torch from PyPI into a temporary folder (several GB on Linux, where it comes with CUDA; an index with CPU builds serves as well).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6 nncf==3.4.0 fasterai==0.4.1

"$folder/venv/bin/python" - <<'PYTHON'
import logging
import sys
import warnings
from importlib.metadata import version

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import nncf
import torch
from fasterai.core.criteria import large_final
from fasterai.sparse.sparsifier import Sparsifier


class Net(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.fc = torch.nn.Linear(len(weights), 1, bias=False)
        self.fc.weight.data = weights[None].clone()

    def forward(self, x):
        return self.fc(x)


def kept_by_nncf(weights, ratio):
    mode = nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_LOCAL
    pruned = nncf.prune(Net(weights), mode=mode, ratio=ratio, examples_inputs=torch.ones(1, len(weights)))
    return next(int(v.sum()) for k, v in pruned.state_dict().items() if k.endswith("binary_mask"))


def kept_by_fasterai(weights):
    net = Net(weights)
    Sparsifier(net, "weight", "local", large_final, layer_type=torch.nn.Linear).sparsify_model(0.5)
    return int((net.fc.weight != 0).sum())


equal, distinct = torch.ones(10), torch.arange(1.0, 1001.0)
by_nncf = [kept_by_nncf(equal, 0.5), kept_by_nncf(distinct, 0.5), kept_by_nncf(distinct[:10], 0.0)]
by_fasterai = [kept_by_fasterai(equal), kept_by_fasterai(distinct)]
print(f"nncf {version('nncf')}, fasterai {version('fasterai')}, torch {torch.__version__}")
print("guess: at 50 % each keeps 5 of ten equal weights and 500 of 1000 distinct ones; at ratio 0 all of them")
print("seen:  nncf keeps {} of ten equal, {} of 1000 distinct, at ratio 0 {} of ten distinct".format(*by_nncf))
print("       fasterai keeps {} of ten equal, {} of 1000 distinct".format(*by_fasterai))
sys.exit(0 if by_nncf == [0, 500, 9] and by_fasterai == [10, 501] else "the behaviour has changed")
PYTHON
