"""Modules of PyTorch for state dicts, which have weights but no layers."""

from __future__ import annotations

import copy

from ._dnw import DnwError


def module(weights, model):
    """A module in eval mode with these weights. `model` is a module, a name or None, as in `dnw.compile`."""
    weights = _plain(weights)
    if model is None:
        found = _recognised(weights)
    elif isinstance(model, str):
        found = _named(model, _classes(weights))
    elif hasattr(model, "load_state_dict"):
        found = copy.deepcopy(model)
    else:
        raise DnwError("`model` is no module and no name: give the module that the state dict belongs to, or such as \"resnet50\"")
    try:
        found.load_state_dict(weights)
    except RuntimeError as error:
        raise DnwError(f"the state dict does not fit the model: {error}") from None
    return found.eval()


def _plain(weights):
    """The tensors by name, out of a checkpoint, without the prefix of data parallel training, and with masks multiplied in."""
    try:
        import torch
    except ImportError:
        raise DnwError("a state dict has no layers, only weights, and PyTorch is not installed to add them: give an ONNX model") from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(weights.get(key), dict):
            weights = weights[key]
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise DnwError(f"`{name}` of the state dict is no tensor: give `module.state_dict()`, an ONNX model or a module")
    if not weights:
        raise DnwError("the state dict is empty")
    if all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): value for name, value in weights.items()}
    plain = {}
    for name, value in weights.items():
        if name.endswith("_orig") and name.removesuffix("_orig") + "_mask" in weights:
            plain[name.removesuffix("_orig")] = value * weights[name.removesuffix("_orig") + "_mask"]
        elif not (name.endswith("_mask") and name.removesuffix("_mask") + "_orig" in weights):
            plain[name] = value
    return plain


def _classes(weights):
    """The outputs of the last layer."""
    return [value.shape[0] for value in weights.values() if value.dim() >= 2][-1:] or [1000]


def _torchvision(name, classes):
    import torchvision

    # Without them these two initialise their weights for minutes.
    more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, num_classes=classes, **more)


def _named(name, classes):
    try:
        import torchvision

        if name in torchvision.models.list_models(module=torchvision.models):
            return _torchvision(name, *classes)
    except ImportError:
        pass
    try:
        import timm
    except ImportError:
        raise DnwError(f"torchvision has no model `{name}`, and timm is not installed") from None
    try:
        return timm.create_model(name, pretrained=False, num_classes=classes[0])
    except RuntimeError as error:
        raise DnwError(f"neither torchvision nor timm has a model `{name}`: {error}") from None


def _recognised(weights):
    """The classifier of torchvision with these names and shapes."""
    hint = "give `model`: the module that it belongs to, or the name of an architecture, such as \"resnet50\""
    try:
        import torch
        import torchvision
    except ImportError:
        raise DnwError(f"a state dict has no layers, only weights, and torchvision is not installed to look for them: {hint}") from None
    shapes = {name: value.shape for name, value in weights.items()}
    classes = _classes(weights)
    found = []
    for name in torchvision.models.list_models(module=torchvision.models):
        # Without memory for their weights.
        with torch.device("meta"):
            try:
                own = _torchvision(name, *classes).state_dict()
            except (TypeError, ValueError, RuntimeError):
                continue
        if {name: value.shape for name, value in own.items()} == shapes:
            found.append(name)
    if len(found) != 1:
        which = f"{' and '.join(found)} of torchvision have" if found else "no classifier of torchvision has"
        raise DnwError(f"a state dict has no layers, only weights, and {which} its names and shapes: {hint}")
    return _torchvision(found[0], *classes)
