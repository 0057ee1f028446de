"""Layers whose first weights come from a generator, leaving torch's global random state alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import wrong, wrong_type
from nakami.sampling._units import normal_like as normal
from nakami.sampling._units import uniform_like as uniform

__all__ = ["features_alone", "layer", "normal", "numbered", "one_on", "seeded", "uniform"]


def seeded(generator: torch.Generator | None) -> torch.Generator:
    """The generator itself, or a fresh one with seed 0."""
    return generator if generator is not None else torch.Generator().manual_seed(0)


def one_on(argument: str, labels: object, rows: int, classes: int) -> Tensor:
    """Units of classes of which one is on, ``(rows,) -> (rows, classes)`` int64, or a refusal."""
    rule = f"be {rows} whole numbers from 0 to {classes - 1}, a tensor"
    way_out = f"number the classes from 0 on and pass {argument}.long()"
    if not isinstance(labels, Tensor):
        raise wrong_type(argument, rule, type(labels).__name__, way_out)
    if labels.is_floating_point() or tuple(labels.shape) != (rows,):
        raise wrong(argument, rule, f"{labels.dtype} of shape {tuple(labels.shape)}", way_out)
    if rows and not (labels.min() >= 0 and labels.max() < classes):
        raise wrong(argument, rule, f"{int(labels.min())} to {int(labels.max())}", way_out)
    return F.one_hot(labels.long(), classes)


def layer(
    kind: type[nn.Module],
    *args: Any,
    std: float | None = None,
    generator: torch.Generator,
    **options: Any,
) -> Any:
    """``kind(*args, **options)`` with weights ``N(0, std^2)`` and biases 0.

    Without ``std`` the variance is ``2 / fan-in`` (He et al. 2015).
    """
    place = options.pop("device", "cpu")  # as skip_init, which wants to see device in a signature
    made: Any = kind(*args, device="meta", **options).to_empty(device=place)
    if std is None:
        std = (2 / made.weight[0].numel()) ** 0.5
    with torch.no_grad():
        made.weight.normal_(0.0, std, generator=generator)
        if getattr(made, "bias", None) is not None:  # an embedding has none
            made.bias.zero_()
    return made


def numbered(**parts: nn.Module) -> nn.Sequential:
    """A sequence whose modules with weights are called by position, the others by their names.

    So the keys of a state dict are those that published weights have (``features.3.weight``), while
    a stage without weights reads as what it is (``features.relu2``).
    """
    return nn.Sequential(
        OrderedDict(
            (str(i) if any(True for _ in part.parameters()) else name, part)
            for i, (name, part) in enumerate(parts.items())
        )
    )


def features_alone(
    trunk: Callable[[torch.Generator], nn.Sequential], generator: torch.Generator | None
) -> nn.Sequential:
    """A network's convolutions as one module, ``features``; published weights may end there."""
    return nn.Sequential(OrderedDict(features=trunk(seeded(generator))))
