"""Runs pruned convolutional networks at the cost of the weights that are left.

    import dnw
    model = dnw.compile(torch_model, image=(3, 224, 224))   # or the path or the bytes of an ONNX model
    logits = model.predict(images)                           # float32, [images, 3, 224, 224]
    model.save("model.dnw")                                  # dnw.load reads it again, `dnw predict` too
"""

from __future__ import annotations

import io
import os

from . import _dnw
from ._dnw import DnwError, Model, __version__

__all__ = ["DnwError", "Explanation", "Model", "compile", "explain", "load", "__version__"]


def compile(source, *, model=None, image=None, mean=None, deviation=None, classes=None, weights="f32"):
    """Compiles a pruned network; each zero of a weight is an edge that costs nothing.

    source: the path or the bytes of an ONNX model, a `torch.nn.Module` in eval mode, which is exported to ONNX first, or a state dict of one.
    model: for a state dict, the module that it belongs to, or the name of an architecture of torchvision or timm. Without it, a classifier of torchvision is
        found by the names and shapes of the weights. Weights pruned by `torch.nn.utils.prune` may have their masks.
    image: (channels, height, width), for signals (channels, length), for vectors (features,); needed for a module, and for a model that leaves the size of
        its images open. An ONNX model whose images have their channels last, such as those of Keras, is compiled for images with their channels first.
    mean, deviation: per channel, how the images that the model gets were normalised, for programs that read pictures (`dnw predict`).
    classes: the names of the outputs.
    weights: how they are stored: "f32", "f16" or "int8".

    Raises DnwError if the network cannot be read, or has something that is not supported; the message says what, and what to do.
    """
    if image is not None:
        image = tuple(image)
        if not 1 <= len(image) <= 3:
            raise DnwError(f"`image` is {image}: give (channels, height, width), (channels, length) or (features,)")
    if isinstance(source, dict):
        from . import _state_dict

        source = _state_dict.module(source, model)
    elif model is not None:
        raise DnwError("`model` says what a state dict belongs to: leave it out, the source has its own layers")
    if hasattr(source, "forward") and hasattr(source, "state_dict"):
        source = _exported(source, image)
    elif not isinstance(source, (bytes, bytearray)):
        source = os.fspath(source)
    else:
        source = bytes(source)
    if image is not None:
        # Signals are images of height 1, vectors of one pixel.
        image = (image[0], *[1] * (3 - len(image)), *image[1:])
    return _dnw.compile_onnx(source, image, {"mean": mean, "deviation": deviation, "classes": classes}, weights)


def load(path):
    """Loads a model that `Model.save` or `dnw compile` wrote. Raises DnwError if it cannot be read."""
    return _dnw.load(os.fspath(path))


def _exported(module, image):
    """The ONNX model of a module of PyTorch, as bytes."""
    import warnings

    import torch

    if image is None:
        raise DnwError("the size of the module's images is not known: give `image=(channels, height, width)`")
    if module.training:
        raise DnwError("the module is in training mode: call `module.eval()` first")
    device = next((parameter.device for parameter in module.parameters()), "cpu")
    file = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        # The older exporter, which needs no further package but says that it is the older one.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(module, (torch.zeros(1, *image, device=device),), file, dynamo=False)
    return file.getvalue()


class Explanation(list):
    """The steps of a model, a dictionary for each; prints as a table."""

    def __str__(self):
        rows = [("layer", "operation", "output", "edges", "density", "us", "share", "why")]
        for row in self:
            density = row["density"]
            rows.append((
                row["layer"], row["operation"], "x".join(map(str, row["output"])), f"{row['edges']:,}" if row["edges"] else "",
                "" if density is None else f"{density:.1%}", f"{row['microseconds']:.1f}", f"{row['share']:.1%}", row["why"],
            ))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
        numbers = {2, 3, 4, 5, 6}
        lines = []
        for row in rows:
            cells = [cell.rjust(width) if at in numbers else cell.ljust(width) for at, (cell, width) in enumerate(zip(row, widths))]
            lines.append("  ".join([*cells, row[-1]]).rstrip())
        return "\n".join(lines)

    __repr__ = __str__


def explain(model, *, threads=1, seconds=1.0):
    """What each step of a model is, how long it takes on noise, and why it is computed in this way."""
    return Explanation(model.steps(threads, seconds))


Model.explain = explain
