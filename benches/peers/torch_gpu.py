"""Measures this project's PyTorch peer (`torch_dnw.py`) on a GPU, for `benches/gpu-check/run.sh`.

  python torch_gpu.py steps --device cuda --batch 64 --precision f32      # training steps
  python torch_gpu.py selection --device cuda --weights 25000000          # selections of one weight in twenty

Each network is trained as published (`dnw`, which sorts the weights in every step), with a mask that is `fixed`, and `dense`. The three
alternate, so that all have the same load of the machine. A line of JSON per result, times in milliseconds. f32 means without TF32.
"""
import argparse, json, os, statistics, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import torch
import torch.nn.functional as F
import torch_dnw

NAMES = {"tiny-static": "static", "tiny-discrete": "discrete", "mobilenet": "mobilenet", "resnet50": "resnet50"}
RULES = {"dnw": "dnw", "fixed": "fixed", "dense": "complete"}
SIZES = {"resnet50": 64}


def finish(device):
    if device == "cuda":
        torch.cuda.synchronize()


def milliseconds(device, work):
    finish(device)
    began = time.perf_counter()
    work()
    finish(device)
    return 1e3 * (time.perf_counter() - began)


def spread(times):
    times = sorted(times)
    quarter = lambda n: times[min(len(times) - 1, n * len(times) // 4)]
    return {"milliseconds": statistics.median(times), "lower": quarter(1), "upper": quarter(3), "rounds": len(times)}


def say(**what):
    print(json.dumps(what), flush=True)


def trainer(args, name, rule):
    """A function that makes one training step, always of the same batch."""
    torch.manual_seed(0)
    classes = 1000 if name == "resnet50" else 10
    image = args.image or SIZES.get(name, 32)
    shape = argparse.Namespace(rule=RULES[rule], rate=0.0, classes=classes, image=image, small=False, reduced=False, dense_first=False)
    model = torch_dnw.build(NAMES[name], shape).to(args.device)
    x = torch.randn(args.batch, 3, image, image, device=args.device)
    y = torch.randint(0, classes, (args.batch,), device=args.device)
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9, weight_decay=1e-4)

    def step():
        optimizer.zero_grad()
        with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "mixed"):
            loss = F.cross_entropy(model(x).float(), y)
        loss.backward()
        optimizer.step()

    return step


def steps(args):
    for name in args.models.split(","):
        try:
            if args.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            steps = {rule: trainer(args, name, rule) for rule in RULES}
            for step in steps.values():
                for _ in range(2):
                    step()
            times, began = {rule: [] for rule in RULES}, time.perf_counter()
            while len(times["dense"]) < args.rounds and (len(times["dense"]) < 3 or time.perf_counter() - began < 3 * args.patience):
                for rule, step in steps.items():
                    times[rule].append(milliseconds(args.device, step))
        except RuntimeError as error:  # such as too little memory for one network
            print(f"{name}: {error}", file=sys.stderr)
            continue
        memory = torch.cuda.max_memory_allocated() if args.device == "cuda" else None
        for rule in RULES:
            say(framework="PyTorch " + torch.__version__, device=args.device, model=name, rule=rule, batch=args.batch,
                image=args.image or SIZES.get(name, 32), precision=args.precision, memory_of_three=memory, **spread(times[rule]))
        del steps, step


def selection(args):
    torch.manual_seed(0)
    w, keep = torch.randn(args.weights, device=args.device), args.weights // 20

    def by_sort():  # as published
        order = torch.argsort(w.abs(), stable=True)
        kept = w.clone()
        kept[order[: args.weights - keep]] = 0
        return kept

    def by_topk():
        size = w.abs()
        return size >= size.topk(keep, sorted=False).values.min()

    def by_kthvalue():
        size = w.abs()
        return size > size.kthvalue(args.weights - keep).values

    for name, work in {"topk": by_topk, "kthvalue": by_kthvalue, "sort": by_sort}.items():
        try:
            work()
            times, began = [], time.perf_counter()
            while len(times) < args.rounds and (len(times) < 3 or time.perf_counter() - began < args.patience):
                times.append(milliseconds(args.device, work))
        except RuntimeError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        say(framework="PyTorch " + torch.__version__, device=args.device, algorithm=name, weights=args.weights, edges=keep, **spread(times))


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=["steps", "selection"])
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--models", default=",".join(reversed(NAMES)), help="of " + ", ".join(NAMES))
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--image", type=int, help="height and width, for mobilenet and resnet50")
    p.add_argument("--precision", default="f32", choices=["f32", "mixed"])
    p.add_argument("--weights", type=int, default=25_000_000)
    p.add_argument("--rounds", type=int, default=20)
    p.add_argument("--patience", type=float, default=1.5, help="seconds per result, once three rounds are done")
    a = p.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    {"steps": steps, "selection": selection}[a.command](a)
