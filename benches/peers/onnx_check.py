"""Checks an exported ONNX model: the checker of onnx, and the logits of other runtimes.

  python onnx_check.py MODEL.onnx IMAGE LOGITS.json      # IMAGE: float32; LOGITS: the first line that `time_model` prints

Needs onnx, onnxruntime, numpy; tract and openvino are used if they are installed. Prints a line for each runtime: its version and the largest
difference of a logit, relative to the largest logit. Fails if one is above 1e-4. `--sparse` says that the model has sparse initializers: runtimes but ONNX Runtime may refuse it;
what they say is printed.
"""
import argparse, json, os, sys
from importlib.metadata import PackageNotFoundError, version

import numpy
import onnx


def onnxruntime(path, image):
    import onnxruntime as runtime
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def openvino(path, image):
    import openvino
    # By default it computes with 16 bits on CPUs that can.
    return openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([image])[0]


def tract(path, image):
    import tract
    model = tract.onnx().load(path)
    model.set_input_fact(0, f"{','.join(map(str, image.shape))},f32")
    return model.into_model().into_runnable().run([image])[0].to_numpy()


p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("model")
p.add_argument("image")
p.add_argument("logits")
p.add_argument("--sparse", action="store_true")
a = p.parse_args()

# A full check infers shapes, for which the operators' definitions know no sparse weights.
onnx.checker.check_model(a.model, full_check=not a.sparse)
print(f"onnx.checker {onnx.__version__}: valid")
with open(a.logits) as file:
    expected = numpy.array(json.loads(file.readline())["logits"])
# A path, so that external weights are found; only the shape is used.
dims = onnx.load(a.model, load_external_data=False).graph.input[0].type.tensor_type.shape.dim
image = numpy.fromfile(a.image, numpy.float32).reshape(1, *(d.dim_value for d in dims[1:]))
failed = False
for run in (onnxruntime, openvino, tract):
    name = run.__name__
    try:
        found = version(name)
    except PackageNotFoundError:
        continue
    try:
        logits = numpy.asarray(run(a.model, image)).reshape(-1)
        difference = abs(logits - expected).max() / abs(expected).max()
        good = difference < 1e-4
        print(f"{name} {found}: {difference:.1e}")
    except Exception as error:
        good = a.sparse and run is not onnxruntime
        print(f"{name} {found}: refused: {str(error).strip().splitlines()[-1][:200]}")
    failed |= not good
sys.exit(failed)
