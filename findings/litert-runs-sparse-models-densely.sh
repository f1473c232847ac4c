#!/usr/bin/env bash
# A TensorFlow Lite model whose 1 x 1 convolutions keep 5 % of their weights, converted with `EXPERIMENTAL_SPARSITY`, is expected to run several
# times as fast as the same model with all weights: LiteRT executes float models with XNNPACK, which has kernels for sparse 1 x 1 convolutions.
# On an x86-64 CPU with AVX it runs exactly as fast. The file becomes smaller, but XNNPACK uses its sparse kernels only on CPUs without AVX, and
# expands the weights on others (its source says that dense kernels are expected to be faster there).
# A user of dnw meets this when looking for another runtime on a PC that gains from a wiring; MNN is one (docs/performance.md).
#
# Installs tensorflow-cpu and ai-edge-litert from PyPI into a temporary folder (some 700 MB). Needs a CPU with AVX.
set -euo pipefail

grep -qm1 -w avx /proc/cpuinfo || {
  echo "this CPU has no AVX, and the sparse kernels may be used" >&2
  exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow-cpu==2.21.0 ai-edge-litert==2.3.0 keras==3.15.1 numpy==2.4.6

CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import contextlib
import io
import sys
import time
from importlib.metadata import version
from statistics import median

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

print(*(f"{name} {version(name)}" for name in ("tensorflow-cpu", "ai-edge-litert")), sep=", ")

SIDE = 113  # Odd, so that "same" pads by one on each side, as the sparse kernels require.


def network(density):
    """The layers that XNNPACK's sparse inference supports: a first convolution of stride 2, then 3 x 3 depthwise and 1 x 1 convolutions."""
    layers, numbers = tf.keras.layers, np.random.default_rng(0)
    x = image = layers.Input((SIDE, SIDE, 3), batch_size=1)
    x = layers.Conv2D(32, 3, 2, "same", activation="relu")(x)
    for channels in (256, 512, 512, 512, 512):
        x = layers.DepthwiseConv2D(3, 1, "same", activation="relu")(x)
        x = layers.Conv2D(channels, 1, activation="relu")(x)
    model = tf.keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    for layer in model.layers:
        if getattr(layer, "kernel_size", None) == (1, 1):
            weights, bias = layer.get_weights()
            weights = numbers.standard_normal(weights.shape) * np.sqrt(2 / weights.shape[2] / density)
            weights *= numbers.random(weights.shape) < density
            layer.set_weights([weights.astype(np.float32), bias])
    return model


def converted(density, sparse):
    converter = tf.lite.TFLiteConverter.from_keras_model(network(density))
    if sparse:
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    with contextlib.redirect_stdout(io.StringIO()):
        return converter.convert()


files = {"all weights": converted(1, False), "5 % of the weights": converted(0.05, True)}
interpreters = {}
for name, file in files.items():
    interpreters[name] = Interpreter(model_content=file, num_threads=1)
    interpreters[name].allocate_tensors()
    index = interpreters[name].get_input_details()[0]["index"]
    interpreters[name].set_tensor(index, np.random.default_rng(1).standard_normal((1, SIDE, SIDE, 3)).astype(np.float32))

times = {name: [] for name in files}
for _ in range(15):
    for name, interpreter in interpreters.items():
        begun = time.perf_counter()
        interpreter.invoke()
        times[name].append(time.perf_counter() - begun)
for name, file in files.items():
    print(f"{name}: {len(file):,} bytes, {1e3 * min(times[name]):.1f} ms (fastest of 15)")

speed = median(dense / sparse for dense, sparse in zip(*times.values()))
smaller = len(files["all weights"]) / len(files["5 % of the weights"])
print(f"guess: several times as fast\nseen:  {speed:.2f} times as fast, file {smaller:.1f} times smaller")
if speed >= 1.5 or smaller <= 3:
    print("the behaviour has changed")
    sys.exit(1)
PYTHON
