"""Discovering Neural Wirings in plain PyTorch: the peer that this project is measured against.

Models (names, shapes and state-dict keys follow the published checkpoints):
  static, discrete, continuous   the 41k-parameter CIFAR classifiers (dim 800, prune rate 0.95)
  mobilenet                      MobileNetV1 as five chained neural graphs
  resnet50                       ResNet-50 with every convolution and the classifier sparse

Needs: torch, safetensors (and torchdiffeq for `continuous`).

  python torch_dnw.py bench  --model static --batch 64 --threads 2 [--eval] [--json]
  python torch_dnw.py parity --model static --out DIR   # weights, batches, losses, logits
  python torch_dnw.py answer --model static --rule fixed            # training steps, as they are asked for
  python torch_dnw.py answer --model selection --algorithm sort     # selections of edges, as they are asked for

`answer` stays alive so that its measurements can alternate with another program's. It prints one line of JSON when it is ready.
Then each line of standard input is a number N: it does its work once untimed and N times timed, and answers with one line,
{"milliseconds": [N numbers]}. It ends with its input.

All tensors are float32, images NCHW.
"""
import argparse, json, statistics, sys, time
import torch
import torch.nn as nn
import torch.nn.functional as F

# ---------------------------------------------------------------- edge selection


class _KeepTop(torch.autograd.Function):
    """Zero the int(rate * n) smallest |w|; hand the incoming gradient to every weight."""

    @staticmethod
    def forward(ctx, w, rate):
        drop = int(rate * w.numel())
        kept = w.clone()
        if drop:
            order = torch.argsort(w.abs().reshape(-1), stable=True)
            kept.view(-1)[order[:drop]] = 0
        return kept

    @staticmethod
    def backward(ctx, g):
        return g, None


def kept_by_rate(w, rate):
    """1 where `_KeepTop` keeps a weight, else 0."""
    mask = torch.ones_like(w)
    mask.view(-1)[torch.argsort(w.abs().reshape(-1), stable=True)[: int(rate * w.numel())]] = 0
    return mask


class Edges(nn.Module):
    """All edges between `sources` and `targets`: weight [targets, sources, 1, 1].

    Rules: `dnw` selects in every forward pass; `random` and `fixed` multiply by a mask that never changes, drawn at random or the one
    that `dnw` begins with (both cost the same); `complete` keeps all.
    """

    def __init__(self, sources, targets, rate, rule="dnw"):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(targets, sources, 1, 1))
        nn.init.kaiming_uniform_(self.weight, a=5 ** 0.5)
        self.rate, self.rule = rate, rule
        if rule == "random":
            score = torch.rand(targets * sources)
            mask = torch.ones_like(score)
            mask[torch.argsort(score, stable=True)[: int(rate * score.numel())]] = 0
            self.register_buffer("mask", mask.view_as(self.weight))
        elif rule == "fixed":
            self.register_buffer("mask", kept_by_rate(self.weight.detach(), rate))

    def effective(self):
        if self.rule == "dnw":
            return _KeepTop.apply(self.weight, self.rate)
        if self.rule in ("random", "fixed"):
            return self.weight * self.mask
        return self.weight


def depthwise(channels, stride=1):
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)


# ---------------------------------------------------------------- tiny classifiers


class Tiny(nn.Module):
    """stem -> neural graph (static | discrete | continuous) -> centre pool -> classifier."""

    def __init__(self, setting="static", dim=800, stem=32, features=100, level=192, steps=5,
                 rate=0.95, rule="dnw", classes=10, image=32):
        super().__init__()
        self.setting, self.dim, self.stem, self.features, self.steps = setting, dim, stem, features, steps
        half = stem // 2
        self.downsample = nn.Sequential(
            nn.Conv2d(3, half, 3, 2, 1), nn.BatchNorm2d(half), nn.ReLU(),
            nn.Conv2d(half, half, 3, 2, 1, groups=half), nn.Conv2d(half, stem, 1), nn.BatchNorm2d(stem))
        body = nn.Module() if setting == "continuous" else self
        body.conv, body.graph = depthwise(dim), Edges(dim, dim, rate, rule)
        if setting == "static":
            sizes = [stem] + [level] * ((dim - stem) // level)
            assert sum(sizes) == dim
            self.cuts = [0]
            for s in sizes:
                self.cuts.append(self.cuts[-1] + s)
            body.norm = nn.ModuleList(nn.InstanceNorm2d(s, affine=True) for s in sizes)
        else:
            body.norm = nn.InstanceNorm2d(dim, affine=True)
        if setting == "continuous":
            self.odesolve = nn.Module()
            self.odesolve.odefunc = body
        self.fc = nn.Linear(features, classes)
        self.mid = image // 4 // 2 - 1

    def step(self, body, state):
        return body.norm(F.conv2d(body.conv(F.relu(state)), body.graph.effective()))

    def forward(self, x):
        x = self.downsample(x)
        state = F.pad(x, (0, 0, 0, 0, 0, self.dim - self.stem))
        if self.setting == "discrete":
            for _ in range(self.steps):
                state = self.step(self, state)
        elif self.setting == "continuous":
            from torchdiffeq import odeint
            body = self.odesolve.odefunc
            span = torch.tensor([0.0, 1.0]).type_as(state)
            state = odeint(lambda t, s: self.step(body, s), state, span, rtol=1e-3, atol=1e-3)[1]
        else:
            w, out0 = self.graph.effective(), self.dim - self.features
            pending = state                                   # inputs of the nodes that are not computed yet
            for i, norm in enumerate(self.norm):
                lo, hi = self.cuts[i], self.cuts[i + 1]
                activations = F.relu(norm(pending[:, : hi - lo]))
                activations = F.conv2d(activations, self.conv.weight[lo:hi], padding=1, groups=hi - lo)
                last = i == len(self.norm) - 1
                rest = pending[:, -self.features:] if last else pending[:, hi - lo:]
                pending = rest + F.conv2d(activations, w[min(hi, out0):, lo:hi])
            state = pending
        m = self.mid
        x = F.avg_pool2d(state[:, -self.features:, m - 1: m + 2, m - 1: m + 2], 2)
        return self.fc(x.reshape(-1, self.features))


# ---------------------------------------------------------------- MobileNetV1 as chained graphs


class Stage(nn.Module):
    """One graph: `inp` source nodes, then (levels-1) levels of `oup` nodes, `oup` output nodes."""

    def __init__(self, inp, oup, stride, levels, rate, rule):
        super().__init__()
        self.inp, self.oup, self.levels = inp, oup, levels
        self.downsample = nn.Sequential(depthwise(inp, stride))
        if levels > 1:
            self.conv = depthwise(oup * (levels - 1))
        self.norm = nn.ModuleList([nn.BatchNorm2d(inp)] + [nn.BatchNorm2d(oup) for _ in range(levels - 1)])
        sources, targets = inp + oup * (levels - 1), oup * levels
        keep = (1 - rate) ** 2 * (inp * oup + (levels - 1) * oup * oup)     # edges of MobileNetV1 x (1-rate)
        self.graph = Edges(sources, targets, 1 - keep / float(sources * targets), rule)

    def forward(self, x):
        w = self.graph.effective()
        x = F.conv2d(self.downsample(F.relu(self.norm[0](x))), w[:, : self.inp])
        for i in range(self.levels - 1):
            a, b = i * self.oup, (i + 1) * self.oup
            activations = F.relu(self.norm[i + 1](x[:, : self.oup]))
            activations = F.conv2d(activations, self.conv.weight[a:b], padding=1, groups=self.oup)
            x = x[:, self.oup:] + F.conv2d(activations, w[b:, self.inp + a: self.inp + b])
        return x


class MobileNet(nn.Module):
    FULL = ((32, 64, 1, 1), (64, 128, 2, 2), (128, 256, 2, 2), (256, 512, 2, 6), (512, 1024, 2, 2))

    def __init__(self, rate=0.775, rule="dnw", classes=10, image=32, small=False, stages=FULL):
        super().__init__()
        self.conv1 = nn.Conv2d(3, stages[0][0], 3, 1 if image <= 64 else 2, 1, bias=False)
        self.layers = nn.Sequential(*(Stage(*s, rate, rule) for s in stages))
        last = stages[-1][1]
        self.bn = nn.BatchNorm2d(last)
        if small:
            self.linear = nn.Module()
            self.linear.graph = Edges(last, classes, rate, rule)
        else:
            self.linear = nn.Linear(last, classes)
        self.small = small

    def forward(self, x):
        x = F.relu(self.bn(self.layers(self.conv1(x)))).mean((2, 3))
        if self.small:
            return F.conv2d(x[:, :, None, None], self.linear.graph.effective())[:, :, 0, 0]
        return self.linear(x)


# ---------------------------------------------------------------- sparse ResNet-50


class WiredWeight:
    """A layer whose weight is wired by `dnw`, `fixed` to the wiring that `dnw` begins with, or `complete`."""
    rate, rule = 0.0, "dnw"

    def wire(self, rate, rule):
        self.rate, self.rule = rate, rule
        if rule == "fixed":
            self.register_buffer("mask", kept_by_rate(self.weight.detach(), rate), persistent=False)

    def effective(self):
        if self.rule == "fixed":
            return self.weight * self.mask
        if self.rule == "complete":
            return self.weight
        return _KeepTop.apply(self.weight, self.rate)


class WiredConv(WiredWeight, nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x, self.effective(), self.bias)


class WiredLinear(WiredWeight, nn.Linear):
    def forward(self, x):
        return F.linear(x, self.effective(), self.bias)


class Bottleneck(nn.Module):
    def __init__(self, inp, width, stride):
        super().__init__()
        out = 4 * width
        self.conv1, self.bn1 = WiredConv(inp, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = WiredConv(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = WiredConv(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or inp != out:
            self.downsample = nn.Sequential(WiredConv(inp, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + skip)


class ResNet50(nn.Module):
    def __init__(self, rate=0.9, classes=1000, dense_first=False, base=64, rule="dnw"):
        super().__init__()
        self.conv1, self.bn1 = WiredConv(3, base, 7, 2, 3, bias=False), nn.BatchNorm2d(base)
        inp = base
        for n, (depth, mult, stride) in enumerate(((3, 1, 1), (4, 2, 2), (6, 4, 2), (3, 8, 2)), 1):
            blocks = []
            for b in range(depth):
                blocks.append(Bottleneck(inp, base * mult, stride if b == 0 else 1))
                inp = base * mult * 4
            setattr(self, f"layer{n}", nn.Sequential(*blocks))
        self.fc = WiredLinear(inp, classes)
        for m in self.modules():
            if isinstance(m, (WiredConv, WiredLinear)):
                m.wire(0.0 if (dense_first and m is self.conv1) else rate, rule)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


# ---------------------------------------------------------------- driver


def build(name, args):
    if name in ("static", "discrete", "continuous"):
        return Tiny(name, rule=args.rule, **({"dim": 104, "stem": 8, "features": 16, "level": 24} if args.reduced else {}))
    if name == "mobilenet":
        reduced = ((8, 12, 1, 1), (12, 16, 2, 2), (16, 24, 2, 2), (24, 32, 2, 6), (32, 40, 2, 2))
        return MobileNet(args.rate or 0.775, args.rule, args.classes, args.image, args.small,
                         reduced if args.reduced else MobileNet.FULL)
    if args.rule == "random":
        sys.exit(f"error: resnet50 has no rule `{args.rule}`: there are dnw, fixed and complete")
    return ResNet50(args.rate or 0.9, args.classes, args.dense_first, 8 if args.reduced else 64, args.rule)


def work(args):
    """The model, and a function that makes one training step, or with --eval one forward pass, always of the same batch."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = build(args.model, args)
    x = torch.randn(args.batch, 3, args.image, args.image)
    y = torch.randint(0, 10, (args.batch,))
    optimizer = torch.optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=1e-4)
    model.train(not args.eval)

    def once():
        if args.eval:
            with torch.no_grad():
                model(x)
            return
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return model, once


def bench(args):
    model, once = work(args)
    for _ in range(args.warmup):
        once()
    times = []
    for _ in range(args.iters):
        t = time.perf_counter()
        once()
        times.append(time.perf_counter() - t)
    print(json.dumps({
        "framework": "torch " + torch.__version__, "model": args.model, "mode": "eval" if args.eval else "train",
        "batch": args.batch, "image": args.image, "threads": args.threads, "rule": args.rule,
        "parameters": sum(p.numel() for p in model.parameters()),
        "median_s": statistics.median(times), "min_s": min(times),
        "images_per_s": args.batch / statistics.median(times)}))


def choice(args):
    """A function that keeps the largest of `--weights` weights: as the published program does, or by the k-th magnitude."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    w, rate = torch.randn(args.weights), args.rate or 0.95
    drop = int(rate * args.weights)

    def by_sort():
        order = torch.argsort(w.abs().reshape(-1), stable=True)
        kept = w.clone()
        kept.view(-1)[order[:drop]] = 0
        return kept

    def by_kthvalue():
        size = w.abs()
        return torch.where(size > size.kthvalue(drop).values, w, 0.0)

    return {"sort": by_sort, "kthvalue": by_kthvalue}[args.algorithm]


def answer(args):
    with torch.set_grad_enabled(args.model != "selection"):
        once = choice(args) if args.model == "selection" else work(args)[1]
        say = lambda what: print(json.dumps(what), flush=True)
        say({"framework": "PyTorch " + torch.__version__, "threads": torch.get_num_threads()})
        for line in sys.stdin:
            once()
            milliseconds = []
            for _ in range(int(line)):
                t = time.perf_counter()
                once()
                milliseconds.append(1e3 * (time.perf_counter() - t))
            say({"milliseconds": milliseconds})


def parity(args):
    from safetensors.torch import save_file
    import os
    os.makedirs(args.out, exist_ok=True)
    torch.manual_seed(args.seed)
    model = build(args.model, args)
    flat = lambda: {k: v.detach().clone().float() for k, v in model.state_dict().items() if "num_batches" not in k}
    save_file(flat(), f"{args.out}/initial.safetensors")
    torch.save(model.state_dict(), f"{args.out}/initial.pt")
    xs = torch.randn(args.steps, args.batch, 3, args.image, args.image)
    ys = torch.randint(0, args.classes if args.model not in ("static", "discrete", "continuous") else 10,
                       (args.steps, args.batch))
    optimizer = torch.optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=1e-4)
    record = {"images": xs, "labels": ys.int()}
    model.eval()
    with torch.no_grad():
        record["logits_eval_before"] = model(xs[0])
    model.train()
    losses = []
    for i in range(args.steps):
        optimizer.zero_grad()
        logits = model(xs[i])
        loss = F.cross_entropy(logits, ys[i])
        loss.backward()
        if i == 0:
            record["logits_train_0"] = logits.detach()
            for k, p in model.named_parameters():
                record["grad_0." + k] = p.grad.detach().clone()
        optimizer.step()
        losses.append(loss.item())
    record["losses"] = torch.tensor(losses)
    model.eval()
    with torch.no_grad():
        record["logits_eval_after"] = model(xs[0])
    save_file(flat(), f"{args.out}/final.safetensors")
    save_file({k: v.contiguous() for k, v in record.items()}, f"{args.out}/record.safetensors")
    print(args.model, "losses", [round(l, 5) for l in losses])


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=["bench", "parity", "answer"])
    p.add_argument("--model", default="static", choices=["static", "discrete", "continuous", "mobilenet", "resnet50", "selection"])
    p.add_argument("--rule", default="dnw", choices=["dnw", "random", "fixed", "complete"])
    p.add_argument("--rate", type=float, default=0.0, help="prune rate; 0 = the model's published one")
    p.add_argument("--classes", type=int, default=10)
    p.add_argument("--image", type=int, default=32)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--small", action="store_true", help="mobilenet: wire the classifier too")
    p.add_argument("--dense-first", action="store_true", help="resnet50: keep the first convolution dense")
    p.add_argument("--reduced", action="store_true", help="narrow widths, for quick parity checks")
    p.add_argument("--eval", action="store_true")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--warmup", type=int, default=2)
    p.add_argument("--iters", type=int, default=7)
    p.add_argument("--steps", type=int, default=6)
    p.add_argument("--lr", type=float, default=0.1)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--out", default="parity")
    p.add_argument("--weights", type=int, default=640_000, help="selection: how many weights")
    p.add_argument("--algorithm", default="sort", choices=["sort", "kthvalue"], help="selection: how")
    a = p.parse_args()
    if a.model == "selection" and a.command != "answer":
        p.error("selection can only be asked with `answer`")
    try:
        {"bench": bench, "parity": parity, "answer": answer}[a.command](a)
    except KeyboardInterrupt:
        sys.exit(130)
