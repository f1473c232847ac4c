#!/usr/bin/env bash
# GlobalAveragePool is expected to be right to a few units in the last place of a float, as torch's mean is, and ReduceMean over the same axes to
# give the same. ONNX Runtime 1.32 adds the pixels of a map one after the other to a single float when there are 16 channels or more (in its
# layout of blocks of channels), so its error grows with the map: about 1e-4 of the mean for 112 x 112 pixels, 5e-4 for 224 x 224. ReduceMean is
# right to 1e-5. A convolutional network with squeeze and excitation has such pools over its largest maps.
# A user of dnw meets this where logits of a compiled network are compared with those of ONNX Runtime.
#
# Installs onnx and onnxruntime from PyPI into a temporary folder.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

print("onnx", version("onnx"), "- onnxruntime", version("onnxruntime"))

PIXEL = np.float32(0.1)


def error(operator, channels, side, **attributes):
    """The largest error of the mean of equal pixels, relative to the pixel."""
    graph = helper.make_graph(
        [helper.make_node(operator, ["image"], ["mean"], **attributes)],
        "network",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, side, side])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, channels, 1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    means = session.run(None, {"image": np.full((1, channels, side, side), PIXEL)})[0]
    return float(np.abs(means.astype(np.float64) / np.float64(PIXEL) - 1).max())


errors = {}
for side in (7, 56, 112, 224):
    for channels in (4, 16):
        errors[channels, side] = error("GlobalAveragePool", channels, side)
        print(f"{channels} channels of {side} x {side}: GlobalAveragePool {errors[channels, side]:.1e}")
mean = error("ReduceMean", 16, 224, axes=[2, 3])
print(f"16 channels of 224 x 224: ReduceMean {mean:.1e}")

expected = errors[16, 7] < 1e-6 and errors[16, 112] > 5e-5 and errors[16, 224] > 2e-4 and mean < 2e-5
sys.exit(0 if expected else "the behaviour has changed")
PYTHON
