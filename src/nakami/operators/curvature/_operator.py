"""Fisher information, Gauss-Newton matrix, empirical Fisher and Hessian: the operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cached_property, reduce
from itertools import groupby
from math import isfinite

import torch
from torch import Tensor

from ...results import UsageError, check_at_least, counted, unknown, wrong, wrong_type
from ...spectra import Gram, LinearOperator, TraceResult, check_vector, trace
from ..model._parameters import Parameters
from ..per_example._norms import RowNorms
from ..per_example._unit_blocks import unit_blocks, unit_parts
from ._batches import Batch, moved
from ._constant import constant_loss
from ._distributed import Ranks
from ._probes import SignedProbes
from ._root import CurvatureRoot, RootGram

MOST_COLUMNS = 256  # backward passes that are made without being asked for


class CurvatureOperator(LinearOperator):
    """A curvature matrix; made by ``nakami.hessian``, ``ggn``, ``fisher`` and ``empirical_fisher``.

    Attributes:
        kind: ``"fisher"``, ``"ggn"``, ``"empirical_fisher"`` or ``"hessian"``.
        samples: Draws of each sample's target where the matrix is a sampled one, else None.
        loss: Name of the loss. sample: what one sample is, in words. n_samples: how many.
        n_examples: Examples of this process. sums: whether the loss's own reduction is the sum.
        likelihood: ``"cross_entropy"``, ``"mse"`` or ``"bce_with_logits"`` where the loss is a
            plain negative log-likelihood; else empty.
        value: The loss itself, with its own reduction.
        reduction: How it is put together over several batches. ``"sum"``; ``"mean"``: as of all
            data at once; ``"mean of batches"``: the mean of its values of the batches, by their
            examples, for it has a term of its own, compares examples, or batches do not fit.
        scale: What the sum of the matrices of single samples is multiplied by.
        ranks: The processes that hold the data, all of which make the same calls.
        names: The parameters, in the order of rows and columns.
        shape: ``(P, P)``.
    """

    def __init__(
        self, parts: Sequence[Batch], samples: int | None = None, ranks: Ranks | None = None
    ):
        first, self.ranks = parts[0], ranks or Ranks()
        judged, self.kind, at = first.judged, first.kind, first.at
        self.parts, self.samples = parts, samples
        self.loss, self.sample, self.sums = judged.name, judged.sample, judged.sums
        own = "mean" if judged.joins or len({part.of for part in parts}) == 1 else "mean of batches"
        self.reduction = "sum" if judged.sums else own
        self.likelihood = "" if judged.nll is None else judged.key
        self.n_examples, n_samples, divisor, total = 0, 0.0, 0.0, 0.0
        for part in parts:
            self.n_examples += part.examples.count
            n_samples += part.samples
            divisor += part.divisor
            total += float(part.total)
        self.names, self.weights = at.names, at.weights
        self.shape = (at.flat.numel(), at.flat.numel())
        self.dtype, self.device = at.flat.dtype, at.flat.device
        n_samples, divisor, total = self.ranks.total(n_samples, divisor, total)
        self.n_samples = int(n_samples)
        self.divisor = 1.0 if judged.sums else divisor
        if self.n_samples == 0 or self.divisor == 0:
            way_out = "pass targets other than ignore_index"
            raise wrong("data", "hold at least one target", "none", way_out)
        self.value = total / self.divisor
        if not isfinite(self.value):
            where = "look at inputs, targets and weights for overflow"
            if any(part.holds_nan for part in parts):
                where = "the targets of a batch hold NaN: leave these examples out"
            raise UsageError(
                "the loss must be finite at the present weights, got "
                f"{self.value} ({judged.name}); {where}."
            )
        if self.kind in ("ggn", "hessian"):
            self.scale = 1 / self.divisor
        else:
            assert judged.nll is not None  # other losses were refused
            outer = self.kind == "empirical_fisher" or samples is not None
            self.scale = judged.nll ** (2 if outer else 1) / self.n_samples
        self._norms: list[RowNorms] | None = None

    @property
    def batch_normalisation(self) -> str:
        """By which statistics the network's batch normalisation is read; empty without any."""
        return self.parts[0].at.network.batch_normalisation

    @property
    def route(self) -> str:  # type: ignore[override]
        """How products are made; the first look builds what they need."""
        draws = self.samples
        drawn = "" if draws is None else f" of {counted(draws, 'draw')} for each sample"
        over = "" if self.ranks.alone else f", summed over {self.ranks.size} ranks"
        return f"{self.kind}{drawn}, {self.parts[0].derivative().route}{over}"

    @property
    def root(self) -> CurvatureRoot | None:
        """``A`` with ``F = A^T A``, ``(samples x outputs, P)``; None for the Hessian, over ranks.

        The scale and the root of the Hessian by the outputs are in it. A row for each output of an
        example; of the empirical Fisher for each sample (its gradient), of a sampled one for each
        draw of each.
        """
        return self._own_root if self.ranks.alone else None

    @cached_property
    def _own_root(self) -> CurvatureRoot | None:
        """The root of this process's samples."""
        return None if self.parts[0].root() is None else CurvatureRoot(self.parts, self.scale)

    @property
    def kernel(self) -> RootGram | None:
        """The dual ``A A^T``, ``(rows of the root,) * 2``: the same eigenvalues but for zeros.

        For squared error the tangent kernel over the number of samples. ``dense()`` of it is cheap.
        """
        root = self.root
        return None if root is None else root.gram()

    def layer(self, pattern: str) -> CurvatureOperator:
        """The diagonal block of some parameters, by a shell pattern of their names.

        Shares examples and outputs; products go through the weights of the block alone.

        Raises:
            UsageError: No parameter of the matrix fits (the nearest names are offered).
        """
        given: object = pattern
        if not isinstance(given, str):
            rule = "be one shell pattern of parameter names"
            raise wrong_type("pattern", rule, repr(given), "'*' takes all")
        both = zip(self.names, self.weights, strict=True)
        fitting = [full for name, full in both if fnmatchcase(name, pattern)]
        if not fitting:
            raise unknown("pattern", pattern, list(self.names), "'*' takes all")
        at = Parameters(self.parts[0].at.network, fitting)
        tried = self.parts[0].tried.moved(at)
        parts = [part.restricted(at, tried) for part in self.parts]
        return CurvatureOperator(parts, self.samples, self.ranks)

    def first(self, count: int) -> CurvatureOperator:
        """The matrix of the first batches of the data, as they were given; of each rank's."""
        count = check_at_least("count", count, 1, "pass 1 for the first batch")
        some = [part for part in self.parts if part.of < count]
        return CurvatureOperator(some, self.samples, self.ranks)

    def by_batch(self) -> list[CurvatureOperator]:
        """A matrix of each batch of the data, as they were given; they share all that is held.

        Raises:
            UsageError: The data lie on several ranks.
        """
        if not self.ranks.alone:
            got = f"{self.ranks.size} ranks"
            raise wrong("group", "be left out for batches one by one", got, "leave group out")
        groups = groupby(self.parts, key=lambda part: part.of)
        return [CurvatureOperator(list(some), self.samples) for _, some in groups]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it the graphs that products run through stay, as far as the budget allows.

        For many products with a few batches whose graphs the budget would not hold for all data: a
        product with one column then runs the network once or not at all, else twice.
        """
        waiting = [part for part in self.parts if not part.keep]
        budget = self.parts[0].examples.budget
        try:
            for keep in (True, False):
                if waiting and sum(part.graphs(keep) for part in waiting) <= budget - budget // 4:
                    for part in waiting:
                        part.hold(keep)
                    break
            yield
        finally:
            for part in waiting:
                part.let_go()

    def examples(self) -> list[tuple[list[Tensor], Tensor]]:
        """The tensors that the network takes, and its outputs: in pieces, axis 0 the examples."""
        return [(part.examples.example.leaves, part.z) for part in self.parts]

    def moved(self, point: Tensor) -> CurvatureOperator:
        """The same matrix of the same data at other weights, ``(P,)``; the model stays."""
        point = check_vector("point", point, self.shape[1])
        with self.ranks.together("data"):
            parts = moved(self.parts, self.parts[0].at.at(point))
        return CurvatureOperator(parts, self.samples, self.ranks)

    def at_current_weights(self) -> CurvatureOperator:
        """The same matrix of the same data, for the model and the loss as they are now.

        In the same arithmetic; targets of ``samples`` are drawn anew by the same random numbers.
        """
        at = self.parts[0].at.current()
        self.ranks.check_alike("current", at.network.weights)
        with self.ranks.together("data"):
            parts = moved(self.parts, at, current=True)
        return CurvatureOperator(parts, self.samples, self.ranks)

    def gradient(self, at: Tensor | None = None) -> Tensor:
        """Gradient of the loss, its own reduction included, ``(P,)``; ``at`` other weights."""
        if at is not None:
            return self.loss_and_gradient(at)[1]
        with self.ranks.together("the gradient"):
            found = torch.stack([part.gradient() for part in self.parts]).sum(0)
        return self.ranks.sum(found) / self.divisor

    def loss_and_gradient(self, at: Tensor) -> tuple[float, Tensor]:
        """The loss and its gradient at other weights ``(P,)``, own reduction included."""
        at = check_vector("at", at, self.shape[1])
        with self.ranks.together("the gradient"):
            pairs = [part.loss_and_gradient(at) for part in self.parts]
            found = torch.stack([gradient for _, gradient in pairs]).sum(0)
        (value,) = self.ranks.total(sum(float(value) for value, _ in pairs))
        return value / self.divisor, self.ranks.sum(found) / self.divisor

    def loss_at(self, at: Tensor) -> float:
        """The loss at other weights ``(P,)``, own reduction included, by one pass over the data."""
        at = check_vector("at", at, self.shape[1])
        with self.ranks.together("the loss"), torch.no_grad():
            total = sum(float(part.loss(at)) for part in self.parts)
        return self.ranks.total(total)[0] / self.divisor

    def constant_loss(self) -> float | None:
        """The least loss of one output for all examples, own reduction included.

        None where the model makes its own loss, over ranks, or where a loss takes no such output.
        """
        return constant_loss(self.parts, self.divisor) if self.ranks.alone else None

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """A flat vector of parameters, ``(P,)``, as named tensors of their shapes."""
        flat = check_vector("flat", flat, self.shape[1])
        return dict(zip(self.names, self.parts[0].at.split(flat).values(), strict=True))

    def exact_trace(self) -> tuple[float, str, int] | None:
        """The trace from the norms of the root's rows; None where that is no shorter way.

        It is where an example has fewer rows than the matrix, and its output does not depend on the
        others.
        """
        norms = self._row_norms(self.shape[0] - 1)
        if norms is None:
            return None
        (rows,) = self.ranks.total(sum(float(part.rows.sum()) for part in norms))
        formed = len(self.names) - len(norms[0].captured)
        columns = max(part.rows.shape[1] for part in norms)
        reason = f"norms of the root's rows from {counted(columns, 'backward pass')}"
        if formed:
            reason += f"; gradients by {formed} of {len(self.names)} parameters formed"
        return self.scale * rows, reason, 0

    def trace_probes(self, seed: int) -> SignedProbes | None:
        """Samples of the trace, a backward pass each; None where examples depend on each other."""
        with self.ranks.together("the trace"):
            root = self._own_root
            sound = root is not None and root.columns > 0 and root.checked is not None
        if not self.ranks.every(sound):
            return None
        assert root is not None
        return SignedProbes(root, self.ranks.most(root.columns), seed, self.ranks)

    def trace_by_parameter(self) -> dict[str, float]:
        """The share of each parameter in the trace; the sum is the trace.

        Raises:
            UsageError: The trace has no short exact way.
        """
        norms = self._needed("trace_by_parameter")
        sums = self.ranks.total(*(sum(p.by_parameter[k] for p in norms) for k in self.names))
        return {k: self.scale * each for k, each in zip(self.names, sums, strict=True)}

    def unit_blocks(self, module: str) -> Tensor:
        """The diagonal blocks of a layer's units, dense: ``(units, fan-in [+ 1], fan-in [+ 1])``.

        One for each output of a linear layer or channel of a convolution: its weights, flat, and
        its bias last. In wide random networks blocks between units are small (Amari, Karakida &
        Oizumi, AISTATS 2019), so that these are most of the matrix.

        Cost: a backward pass for each column of an example; the blocks are held whole.

        Raises:
            UsageError: Another module; a weight that is frozen, tied or used elsewhere; examples
                that mix; the Hessian, which has no root.
        """
        root, rule = self._own_root, "have a root by examples for unit_blocks"
        if root is None:
            raise wrong("the matrix", rule, f"the {self.kind}", "take nakami.ggn")
        if root.checked is None:
            got = "a network whose examples mix"
            raise wrong("the matrix", rule, got, f"take op.layer('{module}.*').dense()")
        parts = unit_parts(self.parts[0].at, root.checked, module)
        with self.ranks.together("the blocks"):
            each = (unit_blocks(rows, module, parts) for rows in root.rows())
            found = reduce(Tensor.add_, each)
        return self.ranks.sum(found) * self.scale

    def sampling_error(self) -> float:
        """Standard error of the trace of a sampled matrix as an estimate of the Fisher's own.

        From the spread of each sample's draws, which are independent; at least two of them.

        Raises:
            UsageError: Not a sampled matrix, one draw alone, no short exact way to the trace.
        """
        draws = self.samples
        if draws is None or draws < 2:
            raise wrong("samples", "be at least 2 for an error", draws, "pass samples=2")
        total = 0.0
        for part in self._needed("sampling_error"):
            each = part.rows.reshape(len(part.rows), draws, -1) * draws
            total += float(each.var(1).sum()) / draws
        (total,) = self.ranks.total(total)
        return self.scale * total**0.5

    def second_moment(
        self, rtol: float = 0.01, *, seed: int = 0, max_products: int = 2000
    ) -> TraceResult:
        """``tr F^2``, the sum of the squared eigenvalues, by ``nakami.trace`` on the shorter side.

        Exact where the dual's entries are cheap and few (up to 16384 rows in float32), else an
        estimate with its standard error, where a product is two with the matrix or its dual.
        """
        kernel = self.kernel
        side: LinearOperator = self
        if kernel is not None and kernel.shape[0] < self.shape[0]:
            side = kernel
        return trace(Gram(side), rtol, seed=seed, max_products=max_products)

    def _needed(self, name: str) -> list[RowNorms]:
        norms = self._row_norms(MOST_COLUMNS)
        if norms is None:
            columns = self._own_root.columns if self._own_root is not None else 0
            raise UsageError(
                f"{name} must have a root of at most {MOST_COLUMNS} rows for each example, and "
                f"examples that do not mix, got the {self.kind} of {self.loss} and "
                f"{counted(columns, 'row')}; use nakami.trace on op.layer(name)."
            )
        return norms

    def _row_norms(self, most: int) -> list[RowNorms] | None:
        """Those of this process; None where an example has more rows than ``most``, on any rank.

        None, too, where there is no short way.
        """
        with self.ranks.together("the trace"):
            root = self._own_root
            short = root is not None and 0 < root.columns <= most
            if root is not None and short and self._norms is None:
                self._norms = root.norms()
        norms = self._norms if short else None
        return norms if self.ranks.every(norms is not None) else None

    def _matmat(self, block: Tensor) -> Tensor:
        with self.ranks.together("a product"):
            out = reduce(Tensor.add_, (part.product(block) for part in self.parts))
        return self.ranks.sum(out).mul_(self.scale)

    _rmatmat = _matmat
