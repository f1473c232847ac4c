"""The networks whose inference is measured: as ONNX and as state dicts, and the programs that run them.

Needs: torch, onnx, onnxruntime, numpy, MNN (`onnx_requirements.txt`).

  python onnx_models.py write --out DIR [--models dnw-x0.225,tiny-static]   # NAME.pt, NAME.onnx, NAME.input of each
  python onnx_models.py answer --out DIR --model dnw-x0.225 --runtime onnxruntime --threads 1 --batch 1

A network `mnist` is what `dnw export RUN --onnx` wrote, with an input of its own. The others: dense-xW is MobileNetV1 of width W; dnw-xW its
chained graphs with the edges of that width, dnw-xW-block-4 with as many edges in blocks of four targets of one source (those of the largest
mean magnitude); resnet50-N is ResNet-50 with N % of all weights pruned; tiny-static and tiny-discrete are the CIFAR classifiers. All have
weights as drawn at first, with the masks written into them (NAME.onnx holds plain weights with zeros), and the norms' statistics of eight
noise images, so that no layer's values vanish.

NAME.input is one image of noise, float32, channels first; a batch repeats it, and times are per image. `answer` prints a line of JSON when
it is ready: name and version of the runtime, milliseconds from the file to a session and to the first result, bytes that the process needed
before and its logits of the image. Then it follows the protocol of `torch_dnw.py answer`.
"""
import argparse, json, os, re, resource, sys, time

SIDE = {"tiny-static": 32, "tiny-discrete": 32, "mnist": 28}
ALL = ["dense-x0.25", "dense-x0.5", "dnw-x0.225", "dnw-x0.225-block-4", "dnw-x0.49", "resnet50-0", "resnet50-90", "resnet50-95", "resnet50-98",
       "tiny-static", "tiny-discrete"]
IMAGES_OF_STATISTICS = 8


# ---------------------------------------------------------------- writing


def dense_mobilenet(width, classes=1000):
    """MobileNetV1 in its original form, every layer `width` times as wide."""
    from collections import OrderedDict
    from torch import nn
    wide = lambda channels: max(8, int(channels * width))
    layers = OrderedDict()

    def conv(name, sources, targets, kernel, stride, groups=1):
        layers[name] = nn.Conv2d(sources, targets, kernel, stride, kernel // 2, groups=groups, bias=False)
        layers[name + "_norm"], layers[name + "_relu"] = nn.BatchNorm2d(targets), nn.ReLU()

    sources = wide(32)
    conv("stem", 3, sources, 3, 2)
    rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + 5 * [(512, 1)] + [(1024, 2), (1024, 1)]
    for index, (channels, stride) in enumerate(rows):
        conv(f"depthwise{index}", sources, sources, 3, stride, groups=sources)
        conv(f"pointwise{index}", sources, wide(channels), 1, 1)
        sources = wide(channels)
    layers["pool"], layers["flat"], layers["fc"] = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(sources, classes)
    return nn.Sequential(layers)


IN_BLOCKS = "-block-4"


def build(name):
    import torch_dnw as peer
    kind, _, number = name.removesuffix(IN_BLOCKS).rpartition("-")
    if kind == "tiny":
        return peer.Tiny(number)
    if kind == "resnet50":
        return peer.ResNet50(int(number) / 100, 1000)
    width = float(number[1:])
    if kind == "dense":
        return dense_mobilenet(width)
    return peer.MobileNet(1 - width, "dnw", 1000, 224)


def best_blocks(weight, rate):
    """`weight` with zeros but for the blocks of four targets with the largest mean magnitude, as many as fit into the edges that stay."""
    import torch
    targets, sources = weight.shape[:2]
    edges = targets * sources - int(rate * targets * sources)
    mean = weight.abs().reshape(targets // 4, 4, sources).mean(1)
    mask = torch.zeros_like(mean)
    mask.view(-1)[mean.view(-1).topk(edges // 4).indices] = 1
    return weight * mask.repeat_interleave(4, 0).view_as(weight)


def write_masks(model, name):
    """Zeroes hallucinated edges and makes the model a plain one that selects nothing."""
    import torch_dnw as peer
    for module in model.modules():
        if isinstance(module, (peer.Edges, peer.WiredWeight)):
            weight = module.weight.detach()
            module.weight.data = best_blocks(weight, module.rate) if name.endswith(IN_BLOCKS) else module.effective().detach()
            module.rule = "complete"


def write(args):
    import torch
    os.makedirs(args.out, exist_ok=True)
    for name in args.models.split(",") if args.models else ALL:
        torch.manual_seed(0)
        model, side = build(name), SIDE.get(name, 224)
        write_masks(model, name)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
        with torch.no_grad():
            model.train()(torch.randn(IMAGES_OF_STATISTICS, 3, side, side))
        model.eval()
        image, path = torch.randn(1, 3, side, side), os.path.join(args.out, name)
        torch.save(model.state_dict(), path + ".pt")
        image.numpy().tofile(path + ".input")
        # The dynamo exporter needs one more package and writes the same graph.
        torch.onnx.export(model, (image,), path + ".onnx", opset_version=17, input_names=["image"], output_names=["logits"],
                          dynamo=False)
        print(path, flush=True)


# ---------------------------------------------------------------- running


def onnxruntime(path, threads, batch):
    import onnxruntime as runtime
    network = path + ".onnx"
    if batch > 1:
        # The file is for single images.
        import onnx
        network = onnx.load(network)
        for value in [*network.graph.input, *network.graph.output]:
            value.type.tensor_type.shape.dim[0].dim_value = batch
        del network.graph.value_info[:]
        network = network.SerializeToString()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1

    def start():
        session = runtime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        return lambda image: session.run(None, {"image": image})[0]

    return "ONNX Runtime " + runtime.__version__, start


def pytorch(path, threads, batch):
    import torch
    torch.set_num_threads(threads)

    def start():
        name = os.path.basename(path)
        model = build(name)
        write_masks(model, name)
        model.load_state_dict(torch.load(path + ".pt"))
        model.eval()

        def run(image):
            with torch.inference_mode():
                return model(torch.from_numpy(image)).numpy()

        return run

    return "PyTorch " + torch.__version__, start


def mnn(path, threads, batch):
    """MNN, which has sparse kernels for x86: the converter looks for weights that are zero in NAME.onnx."""
    # It prints to standard output, which is for answers. (The command `mnnconvert` would also install a package and report its use.)
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import MNN, _tools
    import MNN.nn, MNN.expr
    if not os.path.exists(path + ".mnn"):
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", path + ".onnx", "--MNNModel", path + ".mnn", "--bizCode", "bench",
                           "--detectSparseSpeedUp"])

    def start():
        manager = MNN.nn.create_runtime_manager(({"backend": "CPU", "precision": "high", "numThread": threads},))
        model = MNN.nn.load_module_from_file(path + ".mnn", ["image"], ["logits"], runtime_manager=manager)

        def run(image):
            images = MNN.expr.const(image, list(image.shape), MNN.expr.NCHW)
            return MNN.expr.convert(model.forward(images), MNN.expr.NCHW).read()

        return run

    return "MNN " + MNN.version(), start


def resident():
    """The most memory that this process had so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def answer(args):
    import numpy
    path = os.path.join(args.out, args.model)
    side = SIDE.get(args.model, 224)
    image = numpy.fromfile(path + ".input", numpy.float32).reshape(1, -1, side, side)
    image = numpy.repeat(image, args.batch, 0)
    framework, start = RUNTIMES[args.runtime](path, args.threads, args.batch)
    before = resident()
    milliseconds = lambda since: 1e3 * (time.perf_counter() - since)
    began = time.perf_counter()
    run = start()
    session = milliseconds(began)
    logits = run(image)
    say = lambda what: print(json.dumps(what), flush=True)
    say({"framework": framework, "session_ms": session, "first_ms": milliseconds(began), "bytes_before": before,
         "logits": logits[0].reshape(-1).tolist()})
    for line in sys.stdin:
        run(image)
        times = []
        for _ in range(int(line)):
            began = time.perf_counter()
            run(image)
            times.append(milliseconds(began) / args.batch)
        say({"milliseconds": times})


RUNTIMES = {"onnxruntime": onnxruntime, "pytorch": pytorch, "mnn": mnn}


def network(name):
    if not re.fullmatch(r"dense-x(0?\.\d+|1)|dnw-x(0?\.\d+|1)(-block-4)?|resnet50-\d\d?|tiny-(static|discrete)|mnist", name):
        raise argparse.ArgumentTypeError(f"there is no network `{name}`")
    return name


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=["write", "answer"])
    p.add_argument("--out", required=True, help="the folder of the networks")
    p.add_argument("--models", default="", help="write: these only")
    p.add_argument("--model", type=network, default="dnw-x0.225", help="answer: which")
    p.add_argument("--runtime", choices=RUNTIMES, default="onnxruntime", help="answer: by what")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--batch", type=int, default=1)
    a = p.parse_args()
    try:
        [network(name) for name in a.models.split(",") if name]
        {"write": write, "answer": answer}[a.command](a)
    except argparse.ArgumentTypeError as reason:
        sys.exit(f"error: {reason}")
    except KeyboardInterrupt:
        sys.exit(130)
