"""What is read of networks as a whole: x-rays, rates, settings, recurrent nets over time."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

import nakami
from nakami import recurrent

from . import bounds
from .machine import arithmetic
from .networks import NETS, dense, placed
from .units import Found, Setting, Unit

TOL = 1e-4


def xray(setting: Setting, found: Found, *, how: str) -> None:
    """Two inputs, all stages of a small convolutional network, beside dense spectra."""
    case = NETS["conv"]
    model, x = case.drawn(2)
    with arithmetic(how, setting.device) as dtype:
        card = placed(model, setting.device, dtype)
        truth = card.double().cpu()
        card = placed(model, setting.device, dtype)
        run = nakami.xray(card, x.to(setting.device, dtype), k=5)
        for spectrum in run.spectra:
            part = _up_to(truth, spectrum.stage)
            one = x[spectrum.input : spectrum.input + 1].to(dtype).double()
            values = torch.linalg.svdvals(dense(part, one))
            spread = float(values.norm() / values[0])
            error = np.abs(spectrum.values - values[: len(spectrum.values)].numpy()).max()
            allowed = bounds.value(bounds.product(case.layers, case.terms), spread, TOL)
            what = f"values, input {spectrum.input}, stage {spectrum.stage}"
            found.within(what, error / float(values[0]), allowed)
        found.notes |= {"route": ", ".join(dict.fromkeys(s.route for s in run.spectra))}


def _up_to(model: nn.Module, stage: str) -> nn.Module:
    """A sequential network's modules up to and with a stage."""
    names = list(dict(model.named_children()))
    count = names.index(stage) + 1 if stage in names else len(names)
    return nn.Sequential(*list(model.children())[:count])


def _data(setting: Setting, net: str, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """The network and batches of a small task, on the CPU in float64 and on the card."""
    model, x = NETS[net].drawn(32)
    y = x.flatten(1)[:, :5].argmax(1)
    return (model, (x, y)), (
        placed(model, setting.device, dtype),
        (x.to(setting.device, dtype), y.to(setting.device)),
    )


def rate_limit(setting: Setting, found: Found, *, optimizer: str) -> None:
    """The limit and its eigenvalue; both runs look for it to 1e-3 each, with one seed."""
    here, there = (nakami.rate_limit(*d, "cross_entropy", optimizer) for d in _data(setting, "mlp"))
    bound = 2 * bounds.product(3, 64) + 2e-3
    found.near("limit", there.limit, here.limit, bound)
    found.near("lambda_max", there.lambda_max, here.lambda_max, bound)
    found.near("loss", there.value, here.value, bound)
    found.holds("converged", there.converged)


def critical(setting: Setting, found: Found) -> None:
    """Critical sharpness; both are found by bisection to a tenth."""
    here, there = (nakami.critical_sharpness(*d, "cross_entropy") for d in _data(setting, "mlp"))
    found.near("value", there.value, here.value, 0.2)


def learning_rate(setting: Setting, found: Found, *, steps: int | None) -> None:
    """The advice, from the same trials with the same draws.

    Losses of trials differ by rounding alone. The advice is picked among rates, so that rounding
    moves it within what the trials cannot tell apart, which is its interval.
    """
    ask = partial(nakami.learning_rate, loss="cross_entropy", steps=steps)
    here, there = (ask(*d) for d in _data(setting, "mlp"))
    found.holds("there is an advice", here.advised is not None and there.advised is not None)
    low, high = here.interval or (here.advised, here.advised)
    inside = low * (1 - 1e-3) <= there.advised <= high * (1 + 1e-3)
    found.holds("it lies in the interval of the other", inside)
    first = [run.trials[0].losses[0] for run in (there, here) if run.trials]
    if len(first) == 2:
        found.near("first loss", *first, bounds.product(3, 64))
    found.numbers |= {"advised": there.advised, "advised_cpu": here.advised}


def tune(setting: Setting, found: Found) -> None:
    """A whole setting: batch and schedule the same, the rate in the other's interval."""
    ask = partial(nakami.tune, loss="cross_entropy", steps=100)
    here, there = (ask(*d) for d in _data(setting, "mlp"))
    found.near("peak rate", there.rate, here.rate, 0.5)
    found.holds("the same optimizer", there.optimizer == here.optimizer)


def over_time(setting: Setting, found: Found) -> None:
    """Spectra of a GRU's states after 1, 5 and 10 steps, and its Lyapunov exponents."""
    cells = NETS["gru"].drawn()[0].cells
    gen = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 40, 6, generator=gen, dtype=torch.float64)
    card, on = placed(cells, setting.device, torch.float32), inputs.to(setting.device).float()
    bound = bounds.value(bounds.product(20, 18), 12**0.5, TOL)
    here = recurrent.spectra_over_time(cells, inputs, (1, 5, 10)).values
    there = recurrent.spectra_over_time(card, on, (1, 5, 10)).values
    top = np.nanmax(np.abs(here), axis=-1, keepdims=True)
    found.within("spectra", float(np.nanmax(np.abs(there - here) / top)), bound)
    here, there = (
        recurrent.lyapunov(c, x, 2, discard=10) for c, x in ((cells, inputs), (card, on))
    )
    found.near("exponents", torch.tensor(there.exponents), torch.tensor(here.exponents), bound)


UNITS = [
    *(Unit(f"xray/{how}", partial(xray, how=how)) for how in ("float32", "tf32", "bfloat16")),
    *(Unit(f"rate-limit/{o}", partial(rate_limit, optimizer=o)) for o in ("sgd", "adamw")),
    Unit("critical-sharpness", critical),
    Unit("learning-rate/first", partial(learning_rate, steps=None)),
    Unit("learning-rate/planned", partial(learning_rate, steps=200)),
    Unit("tune", tune, seconds=120),
    Unit("recurrent/over-time", over_time),
]
