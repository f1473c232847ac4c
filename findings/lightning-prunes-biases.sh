#!/usr/bin/env bash
# Lightning's `ModelPruning("l1_unstructured", amount=0.5)` is expected to do in a training what PyTorch's `prune.l1_unstructured` does to each
# weight: half of every weight pruned, biases left alone, `weight_orig` and `weight_mask` in the checkpoint.
# It ranks all parameters together, biases among them, so tensors lose very different shares, and biases are zeroed. The checkpoint has no
# mask: the callback writes the zeros in when it saves, unlike PyTorch, whose state dictionary keeps the masks.
# A user of dnw meets this when importing such a checkpoint: the names are plain, the wiring is in the zeros only. dnw takes the entries
# that are not zero for the real edges of each tensor that has many zeros, and the biases as they are. `parameters_to_prune` and
# `use_global_unstructured=False` prune half of each weight and no bias.
#
# Installs torch from PyPI into a temporary folder (several GB on Linux, where it comes with CUDA; an index with CPU builds serves as well).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6 lightning==2.6.6

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import logging
import sys
import warnings
from importlib.metadata import version

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import lightning
import torch
from lightning.pytorch.callbacks import ModelPruning
from torch import nn


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def checkpoint(weights_only):
    """The share of zeros in each tensor of a checkpoint."""
    torch.manual_seed(0)
    images = torch.utils.data.TensorDataset(torch.randn(32, 64), torch.randint(4, (32,)))
    model = Classifier()
    options = {}
    if weights_only:
        options["parameters_to_prune"] = [(model.model[0], "weight"), (model.model[2], "weight")]
        options["use_global_unstructured"] = False
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ModelPruning("l1_unstructured", amount=0.5, **options)],
    )
    trainer.fit(model, torch.utils.data.DataLoader(images, batch_size=8))
    trainer.save_checkpoint("last.ckpt")
    saved = torch.load("last.ckpt", weights_only=True)["state_dict"]
    return {name: (int((tensor == 0).sum()), tensor.numel()) for name, tensor in sorted(saved.items())}


def line(zeros):
    return ", ".join(f"{name} {some}/{all}" for name, (some, all) in zeros.items())


default, named = checkpoint(weights_only=False), checkpoint(weights_only=True)
print(f"lightning {version('lightning')}, torch {torch.__version__}")
print("guess: weight_orig and weight_mask with 1024/2048 and 64/128 zeros, no bias touched")
print(f"seen:  {line(default)}")
print(f"       weights named, each on its own: {line(named)}")
names = ["model.0.bias", "model.0.weight", "model.2.bias", "model.2.weight"]
zeros = {name: some for name, (some, _) in default.items()}
as_described = (
    list(default) == list(named) == names
    and zeros["model.0.bias"] > 0
    and zeros["model.2.bias"] > 0
    and zeros["model.0.weight"] != 1024
    and sum(zeros.values()) == 1106
    and list(named.values()) == [(0, 32), (1024, 2048), (0, 4), (64, 128)]
)
sys.exit(0 if as_described else "the behaviour has changed")
PYTHON
