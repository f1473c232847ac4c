"""Makes the rows of the table "Rounding and ties in other programs" of docs/rules.md.

    python docs/rules/rounding.py

Prints a row for each program that is installed. The versions of the table need three environments with Python 3.11:

    torch==2.15.0 torch-pruning==1.6.1 rigl-torch==0.5.2 nncf==3.4.0 fasterai==0.4.1
    torch==2.6.0 nni==3.0 neural-compressor==2.6 six numpy<2 setuptools<70
    tensorflow-cpu==2.21.0 tensorflow-model-optimization==0.8.1
"""

import logging
import os
import random
import warnings
from importlib import metadata

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_USE_LEGACY_KERAS"] = "1"


def layer(weights):
    """A linear layer with one output and these weights."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(len(weights), 1, bias=False)
            self.fc.weight.data = torch.tensor([weights])

        def forward(self, x):
            return self.fc(x)

    return Net()


def entries(mask):
    return [i for i, kept in enumerate(mask.flatten().tolist()) if kept]


def published(weights):
    import torch

    order = torch.tensor(weights).abs().sort()[1]
    return sorted(order[int(0.5 * len(weights)):].tolist())


def prune_l1(weights):
    from torch.nn.utils import prune

    net = layer(weights)
    prune.l1_unstructured(net.fc, "weight", 0.5)
    return entries(net.fc.weight_mask)


def prune_global(weights):
    from torch.nn.utils import prune

    net = layer(weights)
    prune.global_unstructured([(net.fc, "weight")], prune.L1Unstructured, amount=0.5)
    return entries(net.fc.weight_mask)


def prune_random(weights):
    import torch
    from torch.nn.utils import prune

    torch.manual_seed(0)
    net = layer(weights)
    prune.random_unstructured(net.fc, "weight", 0.5)
    return entries(net.fc.weight_mask)


def sparsifier(weights, block, level=0.5, zeros=None):
    from torch.ao.pruning import WeightNormSparsifier

    net = layer(weights)
    by_norm = WeightNormSparsifier(level, (1, block), zeros or block)
    by_norm.prepare(net, [{"tensor_fqn": "fc.weight"}])
    by_norm.step()
    return entries(net.fc.parametrizations.weight[0].mask)


def torch_pruning(weights):
    import torch
    import torch_pruning as tp

    outputs = len(weights)
    net = torch.nn.Sequential(torch.nn.Linear(1, outputs), torch.nn.Linear(outputs, 1))
    net[0].weight.data = torch.tensor(weights)[:, None]
    net[0].bias.data = torch.arange(outputs).float()
    importance = tp.importance.MagnitudeImportance(p=1, group_reduction="first")
    pruner = tp.pruner.BasePruner(net, torch.ones(1, 1), importance, pruning_ratio=0.5, ignored_layers=[net[1]])
    pruner.step()
    return [int(number) for number in net[0].bias.tolist()]


def rigl_torch(weights):
    import torch
    from rigl_torch.RigL import RigLScheduler

    net = torch.nn.Sequential(torch.nn.Linear(1, len(weights), bias=False), layer(weights))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    rigl = RigLScheduler(net, optimizer, dense_allocation=0.5, T_end=100, delta=10, ignore_linear_layers=False)
    return entries(rigl.backward_masks[1])


def nncf(weights):
    import torch
    import nncf
    from nncf.parameters import PruneMode

    mode = PruneMode.UNSTRUCTURED_MAGNITUDE_LOCAL
    pruned = nncf.prune(layer(weights), mode=mode, ratio=0.5, examples_inputs=torch.ones(1, len(weights)))
    return entries(next(v for k, v in pruned.state_dict().items() if k.endswith("binary_mask")))


def fasterai(weights):
    import torch
    from fasterai.core.criteria import large_final
    from fasterai.sparse.sparsifier import Sparsifier

    net = layer(weights)
    Sparsifier(net, "weight", "local", large_final, layer_type=torch.nn.Linear).sparsify_model(0.5)
    return entries(net.fc.weight != 0)


def nni(weights):
    from nni.compression.pruning import LevelPruner

    pruner = LevelPruner(layer(weights), [{"op_types": ["Linear"], "sparse_ratio": 0.5}])
    return entries(pruner.compress()[1]["fc"]["weight"])


def neural_compressor(weights):
    import torch
    from neural_compressor.training import WeightPruningConfig, prepare_pruning

    net = torch.nn.Sequential(torch.nn.Linear(1, len(weights)), layer(weights), torch.nn.Linear(1, 1))
    local = {"op_names": ["1.fc"], "pattern": "1x1", "pruning_type": "magnitude", "pruning_scope": "local"}
    config = WeightPruningConfig([local], target_sparsity=0.5, start_step=1, end_step=40, pruning_frequency=1)
    optimizer = torch.optim.SGD(net.parameters(), 1e-12)
    prepare_pruning(net, config, optimizer)
    for _ in range(45):
        net(torch.ones(1, 1)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return entries(net[1].fc.weight != 0)


def tfmot(weights):
    import numpy as np
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    inputs = len(weights)
    prunable = tfmot.sparsity.keras
    schedule = prunable.ConstantSparsity(0.5, 0, frequency=1)
    dense = keras.layers.Dense(1, use_bias=False)
    net = keras.Sequential([prunable.prune_low_magnitude(dense, schedule, input_shape=(inputs,))])
    dense.kernel.assign(np.array(weights, "f4")[:, None])
    net.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    zeros = np.zeros((1, inputs), "f4"), np.zeros((1, 1), "f4")
    net.fit(*zeros, verbose=0, callbacks=[prunable.UpdatePruningStep()])
    return entries(net.layers[0].pruning_vars[0][1].numpy())


PROGRAMS = [
    ("torch", "the published program: `sort`, the first `int(0.5 * n)` dropped", published),
    ("torch", "`prune.l1_unstructured`", prune_l1),
    ("torch", "`prune.global_unstructured`, one tensor", prune_global),
    ("torch", "`prune.random_unstructured`", prune_random),
    ("torch", "`WeightNormSparsifier`, blocks of 1 x 1", lambda weights: sparsifier(weights, 1)),
    ("torch", "`WeightNormSparsifier`, blocks of 1 x 4 (default)", lambda weights: sparsifier(weights, 4)),
    ("torch-pruning", "`BasePruner`, whole outputs", torch_pruning),
    ("rigl-torch", "`RigLScheduler`, first selection", rigl_torch),
    ("nncf", "`nncf.prune`, magnitude", nncf),
    ("fasterai", "`Sparsifier`, `large_final`", fasterai),
    ("nni", "`LevelPruner`", nni),
    ("neural-compressor", "`prepare_pruning`, magnitude", neural_compressor),
    ("tensorflow-model-optimization", "`prune_low_magnitude`", tfmot),
]


def distinct(n):
    order = list(range(1, n + 1))
    random.Random(0).shuffle(order)
    return [float(weight) for weight in order]


for package, name, keep in PROGRAMS:
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        continue
    counts = [len(keep(distinct(n))) for n in (5, 11, 13, 1000)]
    print(f"| {package} {version}: {name} | {', '.join(map(str, counts))} | {keep([1.0] * 10)} | {keep([1.0] * 1000)[:2]} |", flush=True)
