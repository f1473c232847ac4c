"""Architectures of torchvision and timm and single layers with random weights, pruned and exported to ONNX, and ONNX Runtime that runs them.

Needs: torch, torchvision, timm, onnx, onnxscript, onnxruntime, numpy (`zoo_requirements.txt`).

  python onnx_zoo.py write --out DIR --models resnet18-90-erk-dynamo,..   # NAME.onnx and NAME.input of each
  python onnx_zoo.py answer --out DIR --model resnet18-90-erk-dynamo --threads 1

A name is ARCHITECTURE-PERCENT-ALLOCATION-EXPORTER. Any classifier of torchvision, or else of timm, is an architecture. The percentage of the
weights of convolutions and linear layers is pruned by magnitude: `uniform` the same share of every layer but the first, `erk` by
Erdos-Renyi-kernel. So are layers: `convolution_KERNEL_STRIDE_INPUTS_OUTPUTS_SIDE`, `depthwise_KERNEL_STRIDE_CHANNELS_SIDE_LAYERS` (that many one
after the other, so that what is done once for a network, such as changing the layout, weighs little), each with ReLU and at the end the largest pixel of
each map; and `linear_INPUTS_OUTPUTS`. `script` is torch's TorchScript exporter, `dynamo` the newer one. Norms have random statistics of
noise images, so that no layer's values vanish.

NAME.input is one image of noise, float32, channels first. `answer` follows the protocol of `onnx_models.py answer`.
"""
import argparse, json, os, sys, time

SIDE = 224
IMAGES_OF_STATISTICS = 4


def parts(name):
    """The kind of a layer and its sizes; an architecture has none."""
    kind, *sizes = name.split("_")
    return (kind, [int(size) for size in sizes]) if kind in ("convolution", "depthwise", "linear") else (None, [])


def image_shape(label):
    """The shape of one image."""
    kind, sizes = parts(label.split("-")[0])
    if kind == "linear":
        return [sizes[0], 1, 1]
    if kind == "convolution":
        sizes = [sizes[2], sizes[4]]
    elif kind == "depthwise":
        sizes = sizes[2:4]
    channels, side = sizes or [3, SIDE]
    return [channels, side, side]


def layers(kind, sizes):
    """One layer, or several alike."""
    from torch import nn
    if kind == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(*sizes))
    kernel, stride, channels = sizes[:3]
    options = dict(kernel_size=kernel, stride=stride, padding=kernel // 2)
    if kind == "convolution":
        found = [nn.Conv2d(channels, sizes[3], **options), nn.ReLU()]
    else:
        found = [layer for _ in range(sizes[4]) for layer in (nn.Conv2d(channels, channels, groups=channels, **options), nn.ReLU())]
    return nn.Sequential(*found, nn.AdaptiveMaxPool2d(1), nn.Flatten())


def build(name):
    import torch, torchvision
    kind, sizes = parts(name)
    if kind:
        return layers(kind, sizes)
    if name in torchvision.models.list_models(module=torchvision.models):
        model = torchvision.models.get_model(name, weights=None)
    else:
        import timm
        model = timm.create_model(name, pretrained=False)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.3, 0.3)
                module.momentum = None
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    return model


def prunable(model):
    import torch
    layers = [m for m in model.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    # The first layer is small, and depthwise kernels are as good as dense.
    return [m for m in layers[1:] if not (isinstance(m, torch.nn.Conv2d) and m.groups == m.in_channels)]


def densities(layers, density, allocation):
    """The share of weights that stay in each layer."""
    if allocation == "uniform":
        return [density] * len(layers)
    raw = [sum(m.weight.shape) / m.weight.numel() for m in layers]
    sizes = [m.weight.numel() for m in layers]
    dense = set()
    while True:
        # Layers that would have more weights than there are stay dense.
        budget = density * sum(sizes) - sum(sizes[i] for i in dense)
        scale = budget / sum(r * n for i, (r, n) in enumerate(zip(raw, sizes)) if i not in dense)
        more = {i for i, r in enumerate(raw) if i not in dense and scale * r > 1}
        if not more:
            return [1.0 if i in dense else scale * r for i, r in enumerate(raw)]
        dense |= more


def prune(model, density, allocation):
    import torch
    layers = prunable(model)
    for module, share in zip(layers, densities(layers, density, allocation)):
        weight = module.weight.data
        pruned = weight.numel() - round(share * weight.numel())
        if pruned > 0:
            order = weight.abs().flatten().argsort()
            weight.view(-1)[order[:pruned]] = 0
            # Layers keep the magnitude of their outputs.
            weight *= max(share, 1e-3) ** -0.5


def write(args):
    import torch
    os.makedirs(args.out, exist_ok=True)
    for label in args.models.split(","):
        name, percent, allocation, exporter = label.split("-")
        torch.manual_seed(0)
        model = build(name)
        prune(model, 1 - int(percent) / 100, allocation)
        with torch.no_grad():
            model.train()(torch.randn(IMAGES_OF_STATISTICS, *image_shape(label)))
        model.eval()
        image, path = torch.randn(1, *image_shape(label)), os.path.join(args.out, label)
        image.numpy().tofile(path + ".input")
        names = dict(input_names=["image"], output_names=["logits"])
        if exporter == "script":
            torch.onnx.export(model, (image,), path + ".onnx", opset_version=17, dynamo=False, dynamic_axes={"image": {0: "batch"}}, **names)
        else:
            torch.onnx.export(model, (image,), path + ".onnx", dynamo=True, verbose=False, **names)
        print(path, flush=True)


def answer(args):
    import numpy, onnxruntime
    path = os.path.join(args.out, args.model)
    image = numpy.fromfile(path + ".input", numpy.float32).reshape(1, *image_shape(args.model))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    milliseconds = lambda since: 1e3 * (time.perf_counter() - since)
    began = time.perf_counter()
    session = onnxruntime.InferenceSession(path + ".onnx", options, providers=["CPUExecutionProvider"])
    run = lambda: session.run(None, {session.get_inputs()[0].name: image})[0]
    created = milliseconds(began)
    logits = run()
    say = lambda what: print(json.dumps(what), flush=True)
    say({"framework": "ONNX Runtime " + onnxruntime.__version__, "session_ms": created, "first_ms": milliseconds(began),
         "bytes_before": 0, "logits": logits.reshape(-1).tolist()})
    for line in sys.stdin:
        run()
        times = []
        for _ in range(int(line)):
            began = time.perf_counter()
            run()
            times.append(milliseconds(began))
        say({"milliseconds": times})


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=["write", "answer"])
    p.add_argument("--out", required=True, help="the folder of the networks")
    p.add_argument("--models", default="", help="write: these")
    p.add_argument("--model", default="", help="answer: which")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    try:
        {"write": write, "answer": answer}[a.command](a)
    except KeyboardInterrupt:
        sys.exit(130)
