"""The geometry of parameters: Fisher information, Gauss-Newton, empirical Fisher and Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..results import UsageError, wrong
from ..spectra import DEFAULT_BUDGET, LinearOperator
from ._batches import Batch, batches
from ._frozen import Forward, FrozenNetwork, Select
from ._losses import Criterion, check_finite, criterion
from ._root import FisherRoot
from ._row_norms import RowNorms, mixes, row_norms

KINDS = ("fisher", "ggn", "empirical", "hessian")
MOST_COLUMNS = 256  # backward passes beyond which an estimate of the trace is cheaper


def fisher(
    model: nn.Module,
    data: Any,
    loss: nn.Module | str | Callable[[Tensor, Any], Tensor],
    kind: str = "fisher",
    forward: Forward | None = None,
    params: str | None = None,
    *,
    select: Select | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
    memory_budget: int | None = None,
) -> Fisher:
    """A curvature matrix of a network's parameters, as a matrix-free symmetric operator.

    ``"fisher"``: ``F = 1/T sum_t J_t^T L_t J_t``, the Fisher information of the model's own
    distribution: **sum over outputs, mean over samples**, whatever the loss's reduction; ``L_t`` is
    ``diag(p) - p p^T`` for cross-entropy, ``diag(p (1 - p))`` for Bernoulli, the identity for
    squared error (unit variance). ``"ggn"``: the generalised Gauss-Newton matrix of the loss as
    it is, its own reduction included; the Hessian at zero residual, which bounds learning rates.
    ``"empirical"``: ``1/T sum_t g_t g_t^T`` with the gradients at the data's own targets; another
    matrix, which vanishes where the data are fitted. ``"hessian"``: the second derivative of the
    loss, its own reduction included; it may have negative eigenvalues.

    Args:
        model: Any module; read in evaluation mode, left as it was.
        data: ``(x, y)``, or an iterable of such batches, read once and held.
        loss: ``CrossEntropyLoss``, ``MSELoss``, ``BCEWithLogitsLoss``, their names
            (``"cross_entropy"``, ``"mse"``, ``"bce_with_logits"``), or, for ``"ggn"`` and
            ``"hessian"``, any function of (outputs, targets) that is convex in the outputs and
            a mean over the batch.
        kind: See above.
        forward: ``forward(model, x)`` where ``model(x)`` does not do.
        params: A shell pattern of parameter names; default all that require a gradient.
        select: Picks the output that the loss takes.
        dtype: Arithmetic to compute in; default that of the weights.
        device: Where to compute; default where the weights are.
        memory_budget: Bytes for what is kept of the network between products; default 1 GiB.

    Returns:
        A ``Fisher``, shape ``(P, P)``, for ``nakami.eigh``, ``trace`` and ``density``.

    Raises:
        UsageError: Empty data, wrong targets, a loss that is not finite, no parameters.

    Cost: building, some passes over the data; a product, about three passes for each column.
    Source: Martens, JMLR 21 (2020), sections 5 to 9; Karakida, Akaho & Amari, AISTATS 2019.
    """
    if kind not in KINDS:
        raise wrong("kind", f"be one of {', '.join(KINDS)}", repr(kind), "use 'fisher'")
    judged = criterion(loss)
    if kind in ("fisher", "empirical") and judged.nll is None:
        raise UsageError(
            f"loss must be a plain negative log-likelihood for kind={kind!r}, got {judged.name} "
            "(weighted, smoothed or a function of your own); use kind='ggn'."
        )
    network = FrozenNetwork(model, forward, select, dtype, device)
    budget = DEFAULT_BUDGET if memory_budget is None else memory_budget
    parts = batches(network, data, judged, params, budget)
    return Fisher(network, parts, judged, kind)


class Fisher(LinearOperator):
    """A curvature matrix; made by ``nakami.fisher``.

    Attributes:
        kind: ``"fisher"``, ``"ggn"``, ``"empirical"`` or ``"hessian"``.
        loss: Name of the loss. sample: what one sample is, in words. n_samples: how many.
        value: The loss itself, with its own reduction.
        names: The parameters, in the order of rows and columns.
        shape: ``(P, P)``.
    """

    def __init__(self, network: FrozenNetwork, parts: list[Batch], judged: Criterion, kind: str):
        self.network, self.parts, self.judged, self.kind = network, parts, judged, kind
        self.loss, self.sample = judged.name, judged.sample
        first = parts[0]
        self.names, self.weights = first.names, first.weights
        self.shape = (first.n_parameters, first.n_parameters)
        self.dtype, self.device = first.dtype, first.device
        self.n_samples = sum(part.samples for part in parts)
        self.divisor = divisor = 1.0 if judged.sums else sum(part.divisor for part in parts)
        if self.n_samples == 0 or divisor == 0:
            raise wrong("data", "hold at least one target", "none", "look at ignore_index")
        total = sum(part.total for part in parts)
        self.value = float(total) / divisor
        check_finite(torch.tensor(self.value), judged.name)
        own = kind in ("ggn", "hessian")
        self.scale = 1 / divisor if own else (judged.nll or 1.0) / self.n_samples
        if kind == "empirical":
            self.scale = (judged.nll or 1.0) ** 2 / self.n_samples
        self._norms: list[RowNorms] | None = None

    @property
    def route(self) -> str:  # type: ignore[override]
        """How products are made; the first look builds what they need."""
        return f"{self.kind}, {self.parts[0].route(self.kind)}"

    @property
    def root(self) -> FisherRoot | None:
        """``A`` with ``F = A^T A``, ``(samples x outputs, P)``; None for the Hessian.

        The scale and the root of the Hessian by the outputs are in it. A row for each output of an
        example; ``"empirical"``: for each sample, its gradient; sampled: for each draw of each.
        """
        if self.parts[0].root(self.kind) is None:
            return None
        return FisherRoot(self.parts, self.kind, self.scale, self.kind)

    def exact_trace(self) -> tuple[float, str] | None:
        """The trace from the norms of the root's rows, and how; None where that is no cheap way."""
        norms = self._row_norms()
        if norms is None:
            return None
        value = self.scale * sum(float(part.rows.sum()) for part in norms)
        formed = self.names[len(norms[0].captured) :] and len(self.names) - len(norms[0].captured)
        reason = f"exact: {self._columns()} backward passes with the norm of each row of the root"
        if formed:
            reason += f"; gradients of {formed} of {len(self.names)} parameters formed"
        return value, reason

    def trace_by_parameter(self) -> dict[str, float]:
        """The share of each parameter in the trace; the sum is the trace.

        Raises:
            UsageError: Where the trace has no cheap exact way (see ``exact_trace``).
        """
        norms = self._row_norms()
        if norms is None:
            raise UsageError(
                f"trace_by_parameter must have at most {MOST_COLUMNS} rows of the root for each "
                f"example and samples that do not mix, got kind={self.kind!r} with loss "
                f"{self.loss!r}; use nakami.trace on op.layer(name)."
            )
        return {k: self.scale * sum(p.by_parameter[k] for p in norms) for k in self.names}

    def _columns(self) -> int:
        roots = [part.root(self.kind) for part in self.parts]
        return max(root.columns if root is not None else 0 for root in roots)

    def _row_norms(self) -> list[RowNorms] | None:
        if self._norms is None:
            if self.parts[0].root(self.kind) is None or self._columns() > MOST_COLUMNS:
                return None
            if any(mixes(part) for part in self.parts[:1]):
                return None
            roots = [(part, part.root(self.kind)) for part in self.parts]
            self._norms = [row_norms(part, root) for part, root in roots if root is not None]
        return self._norms

    def _matmat(self, block: Tensor) -> Tensor:
        out = torch.zeros_like(block)
        for part in self.parts:
            out += part.product(block, self.kind)
        return out.mul_(self.scale)

    _rmatmat = _matmat

    def gradient(self) -> Tensor:
        """Gradient of the loss, its own reduction included, ``(P,)``."""
        return torch.stack([part.gradient() for part in self.parts]).sum(0) / self.divisor

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """A flat vector of parameters, ``(P,)``, as named tensors of their shapes."""
        parts = flat.split([w.numel() for w in self.weights.values()])
        return {
            name: part.reshape(w.shape)
            for name, w, part in zip(self.names, self.weights.values(), parts, strict=True)
        }
