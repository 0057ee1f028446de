"""The loss of a module as it stands, batch by batch, for trainings on copies of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...results import UsageError, wrong
from ..model._checks import first_line
from ..model._example import Example, is_number, leaves_of, some_rows
from ..model._functional_model import Caller, FunctionalModel
from ..model._random import random_states_kept
from ..model._statistics import statistics
from ..model._view import View
from ._constant import Seen, constant_loss, constant_output
from ._data import by_row, check_count, classes_are_last, inside_of, targets_of, warn_of_copies
from ._forms import pairs
from ._losses import CrossEntropy, criterion
from ._named import ggn, hessian
from ._outputs import Form, classes_last
from ._own_loss import ModelsLoss, OwnLoss, returned


class Piece(NamedTuple):
    """Some examples of batch ``i``."""

    i: int
    x: Example
    y: Any


class LiveLoss:
    """A loss of a module in training, on batches that are read as they are needed, and kept.

    The module is called as it is, in its own mode and with its own random numbers; gradients go to
    its parameters, so pass copies. Batches are taken as ``nakami.ggn`` takes them; where there are
    no more they come again in turn.

    Args:
        view: How the model is called.
        data: ``(x, y)``, or an iterable of such batches, an endless one too.
        loss: As ``nakami.ggn`` takes it; None for the loss that the model returns.

    Attributes:
        names: The parameters that have derivatives. device: where the model is.
        judged: The loss, taken apart. seen: the batches that were used, as it saw them.

    Raises:
        UsageError: What ``nakami.ggn`` refuses of the first batch.
    """

    def __init__(self, view: View, data: Any, loss: Any):
        if isinstance(view.model, nn.parallel.DistributedDataParallel):
            way_out = "pass model.module, and batches of a whole step"
            raise wrong("model", "be one that trains alone", type(view.model).__name__, way_out)
        self.view, self.judged, self._loss = view, criterion(loss), loss
        self.network = FunctionalModel(replace(view, batch_statistics=False))
        self.names = {name.removeprefix("model.") for name in self.network.parameters()}
        if not self.parameters():
            way_out = "call requires_grad_() on some"
            raise wrong("model", "have parameters that require a gradient", "none", way_out)
        self.network.weights = {}  # copies that nothing here needs
        self.device = self.network.device
        like = next(p for p in view.model.parameters() if is_number(p))
        self.dtype = view.dtype if isinstance(view.dtype, torch.dtype) else like.dtype.to_real()
        self._whole = isinstance(self.judged, ModelsLoss)
        self._source: Iterator[tuple[Any, Any]] | None = pairs(data, view.target, self._whole)
        self._held = list[tuple[Example, Any]]()
        modules = view.model.modules()
        self._time_first = any(getattr(m, "batch_first", None) is False for m in modules)
        self._reader, self._tried, self._inside = self.judged.reader(self.network), False, 0
        self.seen = dict[int, Seen]()
        self._more()
        if not self._held:
            way_out = "pass a list or a loader that can be read again"
            raise wrong("data", "hold at least one batch", "an empty iterable", way_out)

    def __call__(self, model: nn.Module, i: int) -> Tensor:
        """The loss of batch ``i`` by a model, a scalar with its graph."""
        x, y = self.batch(i)
        if self._tried:
            return self._value(model, i, x, y)
        try:
            value = returned(self._value(model, i, x, y))
            if torch.is_grad_enabled() and not value.requires_grad:
                raise ValueError("a loss without a gradient")
        except UsageError:
            raise
        except Exception as error:
            self._explain(x, y, error)
            raise
        self._tried = True
        return value

    def batch(self, i: int) -> tuple[Example, Any]:
        """Inputs and targets of batch ``i``, read where they were not yet."""
        while i >= len(self._held) and self._more():
            pass
        return self._held[i % len(self._held)]

    @property
    def batch_normalisation(self) -> str:
        """By which statistics the copies normalise, in words; empty without any."""
        asked = self.view.batch_statistics
        return statistics(self.view.model, True if asked is None else asked)

    @property
    def n_batches(self) -> int:
        """Batches read so far."""
        return len(self._held)

    def copy(self) -> nn.Module:
        """The model as it trains: a copy without gradients, in training mode.

        What the caller has put into evaluation mode inside a model in training mode stays in it.
        Batch normalisation goes by what the view says of it.
        """
        try:
            model = copy.deepcopy(self.view.model)
        except Exception as error:
            got = f"{type(error).__name__}: {first_line(error)}"
            way_out = "pass it before its first run, or build it anew and load its weights"
            raise wrong("model", "be one that copy.deepcopy can copy", got, way_out) from error
        if not model.training:
            model.train()
        if self.view.batch_statistics is not None:
            for module in model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.train(self.view.batch_statistics)
        for p in model.parameters():
            p.grad = None
        if self.view.dtype is not None:
            model = model.to(self.dtype)
        return model if self.view.device is None else model.to(self.device)

    def parameters(self, model: nn.Module | None = None) -> dict[str, Tensor]:
        """What of a copy, by default of the model itself, is trained, by name."""
        own = (self.view.model if model is None else model).named_parameters()
        return {name: p for name, p in own if name in self.names and p.requires_grad}

    def samples(self, i: int) -> int:
        """Of batch ``i``, once it was used; its examples, where the model makes the loss."""
        seen = self.seen[i % len(self._held)]
        if self._whole:
            return self.batch(i)[0].count
        return int(seen.judged.samples(seen.z, seen.y).sum())

    def constant(self) -> float | None:
        """The least loss of one output for all examples of the batches used; None if unknown."""
        if self._whole:
            return None
        parts = list(self.seen.values())
        counts = [part.judged.divisor(part.z, part.y) for part in parts]
        if not sum(counts):  # all targets are left out
            return None
        return constant_loss(parts, float(len(parts) if self.judged.sums else sum(counts)))

    def pieces(self, i: int, parts: int) -> list[Piece]:
        """Batch ``i`` in so many pieces of two examples and more; whole where it cannot be cut.

        So are the batches of models with layers that take time first.
        """
        x, y = self.batch(i)
        parts = min(parts, x.count // 2)
        if parts < 2 or not x.sliceable or self._time_first:
            return [Piece(i, x, y)]
        ends = [x.count * k // parts for k in range(parts + 1)]
        places = [slice(a, b) for a, b in pairwise(ends)]
        return [Piece(i, x.pick(at), some_rows(y, at, x.count)) for at in places]

    def has_targets(self, piece: Piece) -> bool:
        """Whether any example of a piece of a batch that was used counts in its loss."""
        if self.judged.key != "cross_entropy" or not isinstance(piece.y, Tensor):
            return True
        seen = self.seen.get(piece.i % len(self._held))
        if seen is None:
            return True
        y = self._targets(seen.z, piece.x.count, piece.y)
        z = seen.z[:1].expand(len(y), *seen.z.shape[1:])
        return bool(seen.judged.samples(z, y).any())

    def over(self, model: nn.Module, pieces: Sequence[Piece]) -> Tensor:
        """The sum of the losses of some pieces, with its graph."""
        values = [self._value(model, each.i, each.x, each.y) for each in pieces]
        return torch.stack(values).sum()

    def away(self, model: nn.Module, pieces: Sequence[Piece]) -> Tensor | None:
        """``sum(s z)`` over some pieces, ``s`` the slope of the loss at their constant output.

        Its gradient is the first step of a network that stands at the best output for all of these
        examples: where targets have nothing to do with inputs it has no direction in common with
        that of other pieces. None where no such output is known.
        """
        parts, outputs = list[Seen](), list[Tensor]()
        for each in pieces:
            z, _, y = self._outputs(model, each.x, each.y)
            outputs.append(z)
            parts.append(Seen(self.judged, torch.zeros_like(z), y))
            self._see(each.i, z, each.x.count)
        constant = constant_output(parts)
        if constant is None:
            return None
        total = outputs[0].new_zeros(())
        for z, part in zip(outputs, parts, strict=True):
            slope = self.judged.slope(constant.to(z).expand(z.shape).clone(), part.y)
            total = total + (slope.detach() * z).sum()
        return total

    def _outputs(self, model: nn.Module, x: Example, y: Any) -> tuple[Tensor, Form | None, Any]:
        """Outputs as the loss takes them, their form, and targets."""
        out = Caller(model, self.view.forward)(x.tree)
        z, form = self._reader(self.network, out, x.count)
        if not self._tried:
            z, y = self._checked(z, x, y, out)
        return z, form, self._targets(z, x.count, y)

    def _value(self, model: nn.Module, i: int, x: Example, y: Any) -> Tensor:
        z, form, y = self._outputs(model, x, y)
        self._see(i, z, x.count)
        given = z if form is None else form.outputs(z)
        value: Tensor = self.judged.given(given, y)
        return value

    def _targets(self, z: Tensor, count: int, y: Any) -> Any:
        return y.reshape(count, *z.shape[2:]) if self._reader is classes_last else y

    def _see(self, i: int, z: Tensor, count: int) -> None:
        """Note that batch ``i`` was used, by outputs of so many of its examples."""
        key = i % len(self._held)
        if key not in self.seen:
            x, y = self._held[key]
            shape = (len(z) * x.count // count, *z.shape[1:]) if z.ndim else ()
            zeros = torch.zeros((), dtype=z.dtype, device=z.device).expand(shape)
            self.seen[key] = Seen(self.judged, zeros, self._targets(z, x.count, y))

    def _checked(self, z: Tensor, x: Example, y: Any, out: Any) -> tuple[Tensor, Any]:
        """Of the first batch: which axis has the classes, and whether the targets fit."""
        if isinstance(self.judged, CrossEntropy):
            warn_of_copies(x, y, self._inside)
            selected = self.network.select is not None
            if classes_are_last(z.detach(), y, x.count, x.count, selected):
                self._reader = classes_last
                y = by_row(y, z, x.count)
                z = classes_last(self.network, out, x.count)[0]
        if not isinstance(self.judged, OwnLoss):
            check_count(y, z, x.count)
            self.judged.check(z.detach(), y)
        return z, y

    def _more(self) -> bool:
        """Read one batch more; False where there is none."""
        if self._source is None:
            return False
        with random_states_kept(self.device), torch.inference_mode(False):
            return self._read(self._source)

    def _read(self, source: Iterator[tuple[Any, Any]]) -> bool:
        found = next(source, None)  # a loader in random order draws
        if found is None:
            self._source = None
            return False
        x, y = found
        if not self._held:
            self._inside = inside_of(x, y, self.view.target)
        example = Example(x, batch=True).moved(self._cast)
        y = targets_of(self.network, y)
        if any(leaf.is_floating_point() and bool(leaf.isnan().any()) for leaf in leaves_of(y)):
            way_out = "leave these examples out"
            raise wrong("data", "hold finite targets", f"NaN in batch {len(self._held)}", way_out)
        if self.judged.key and isinstance(y, Tensor) and y.ndim == 0:
            y = y[None]
        self._held.append((example, y))
        return True

    def _cast(self, leaf: Tensor) -> Tensor:
        if leaf.is_floating_point() and not torch.is_autocast_enabled(self.device.type):
            return leaf.detach().to(self.device, self.dtype, copy=True)
        return leaf.detach().to(self.device, copy=True)

    def _explain(self, x: Example, y: Any, error: Exception) -> None:
        """Say in one sentence why the first batch failed, as the readings of a loss do."""
        made = hessian if self._loss is None else ggn
        data = [x.tree] if self._whole else [(x.tree, y)]
        made(replace(self.view, target=None), data, self._loss)
        got = f"{type(error).__name__}: {first_line(error)}"
        way_out = "call loss(model(x), y) of the first batch after model.train() to see where"
        raise wrong("model", "run in training mode", got, way_out) from error
