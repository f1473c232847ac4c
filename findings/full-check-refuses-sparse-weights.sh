#!/usr/bin/env bash
# A model whose convolution reads a `sparse_initializer` is valid: the format has them for constants of any node, `onnx.checker.check_model`
# accepts it, and ONNX Runtime computes with it. So `check_model(model, full_check=True)`, which also infers shapes, is expected to accept it.
# It raises an InferenceError: to shape inference the weight is a `sparse_tensor(float)`, which no operator's definition allows. Shape inference
# that is not strict passes over it.
# A user of dnw meets this with `dnw export --onnx out.onnx --sparse-initializers` and a full check of the file. The default of the export is
# dense initializers, which pass.
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
import onnx
import onnxruntime
from onnx import TensorProto, helper, shape_inference

print("onnx", version("onnx"), "- onnxruntime", version("onnxruntime"))

# A 1 x 1 convolution from two channels to two: [[0, 5], [7, 0]].
values = helper.make_tensor("weight", TensorProto.FLOAT, [2], [5.0, 7.0])
indices = helper.make_tensor("indices", TensorProto.INT64, [2], [1, 2])
weight = helper.make_sparse_tensor(values, indices, [2, 2, 1, 1])
graph = helper.make_graph(
    [helper.make_node("Conv", ["image", "weight"], ["sums"], name="conv", kernel_shape=[1, 1])],
    "network",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 2, 1, 1])],
    [helper.make_tensor_value_info("sums", TensorProto.FLOAT, [1, 2, 1, 1])],
    sparse_initializer=[weight],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

onnx.checker.check_model(model)
print("check_model: valid")
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
sums = session.run(None, {"image": np.array([1, 10], np.float32).reshape(1, 2, 1, 1)})[0]
print("ONNX Runtime:", sums.reshape(-1).tolist())
shape_inference.infer_shapes(model)
print("infer_shapes: passes")
try:
    onnx.checker.check_model(model, full_check=True)
    said = ""
except shape_inference.InferenceError as error:
    said = str(error)
print("check_model, full_check=True:", said or "valid")

expected = sums.reshape(-1).tolist() == [50.0, 7.0] and "sparse_tensor(float)" in said
sys.exit(0 if expected else "the behaviour has changed")
PYTHON
