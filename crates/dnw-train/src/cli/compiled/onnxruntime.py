"""Times ONNX Runtime for `dnw bench --onnx`. Reads a request as a line of JSON, and behind it the images as 32-bit floats; answers with a line."""

import json
import sys
import time


def answer(found):
    print(json.dumps(found), flush=True)


def arranged(image, shape, declared):
    """The images [batch, channels, height, width] as the model declares its input: also as vectors, or with channels last."""
    batch, channels, height, width = shape
    own = declared[1:]
    if own == [height, width, channels] and own != [channels, height, width]:
        return image.reshape(shape).transpose(0, 2, 3, 1).copy()
    if all(isinstance(size, int) for size in own):
        return image.reshape([batch, *own])
    return image.reshape(shape)


def run(request, image, sessions):
    threads = request["threads"]
    if threads not in sessions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        sessions.clear()
        sessions[threads] = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    session = sessions[threads]
    value = session.get_inputs()[0]
    batch, fixed = request["shape"][0], value.shape[0]
    if not isinstance(fixed, int):
        fixed = None
    size = fixed or batch
    if batch % size:
        return {"error": "its batch is always %d" % size}
    images = image.reshape(batch // size, -1)
    feeds = [{value.name: arranged(part, [size, *request["shape"][1:]], value.shape)} for part in images]
    results = [session.run(None, feed) for feed in feeds]
    numbers = request["outputs"] // len(feeds)
    output = [x for x in range(len(results[0])) if getattr(results[0][x], "dtype", None) == numpy.float32 and results[0][x].size == numbers]
    if not output:
        return {"error": "the model has no output of %d numbers" % numbers}
    output = numpy.concatenate([result[output[0]].ravel() for result in results])
    seconds, end = [], time.perf_counter() + request["seconds"]
    while not seconds or time.perf_counter() < end:
        start = time.perf_counter()
        for feed in feeds:
            session.run(None, feed)
        seconds.append(time.perf_counter() - start)
    return {"median": float(numpy.median(seconds)), "output": output.tolist(), "fixed": fixed}


try:
    import numpy
    import onnxruntime
except ImportError as error:
    answer({"error": str(error), "missing": True})
    sys.exit()
answer({"version": onnxruntime.__version__})
sessions = {}
for line in sys.stdin.buffer:
    request = json.loads(line)
    image = numpy.frombuffer(sys.stdin.buffer.read(request["bytes"]), numpy.float32)
    try:
        answer(run(request, image, sessions))
    except Exception as error:
        answer({"error": " ".join(str(error).split())})
