"""What ``nakami theory meanfield`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nakami.results import counted, plain

from ._tables import TextTable

if TYPE_CHECKING:
    from nakami.theory.meanfield import Prediction


def numbers(found: Prediction) -> dict[str, Any]:
    """The prediction as plain data."""
    body: dict[str, Any] = plain(found)
    order = found.order
    body["order"] |= {
        "activations": [f.name for f in order.activations],
        "alpha": order.alpha,
        "kappa1": order.kappa1,
        "kappa2": order.kappa2,
    }
    return body


def tables(found: Prediction) -> list[TextTable]:
    """Order parameters by layer, eigenvalues, learning rates by width."""
    return [_layers(found), _eigenvalues(found), _rates(found)]


def _layers(found: Prediction) -> TextTable:
    o = found.order
    head = ("layer", "width", "|h|²/M", "overlap", "corr.", "|∂f/∂u|²", "overlap", "gain")
    rows = [
        (
            str(i),
            str(width),
            f"{o.q_hat1[i]:.4g}" if i < len(o.q_hat1) else f"{o.q1[-1]:.4g}",
            f"{o.q_hat2[i]:.4g}" if i < len(o.q_hat2) else f"{o.q2[-1]:.4g}",
            f"{found.correlation[i]:z.3f}",
            *(f"{q[i - 1]:.4g}" if i else "" for q in (o.q_tilde1, o.q_tilde2, o.layer_gain)),
        )
        for i, width in enumerate(o.widths)
    ]
    title = f"{found.activation} network {'-'.join(map(str, o.widths))}, order parameters by layer"
    caption = (
        f"Layer 0 holds the inputs, the last the outputs. κ₁ {o.kappa1:.6g}, κ₂ {o.kappa2:.6g}.\n"
        "overlap: the same between two inputs; gain: mean squared singular value of the layer."
    )
    c = found.criticality
    if c is not None:
        end = c.reason or f"correlation goes to {c.c_star:z.3f} over {c.xi_c:.3g} layers"
        caption += f"\nMany such layers: {c.phase}, {end}."
    return TextTable(title, caption, head, rows)


def _eigenvalues(found: Prediction) -> TextTable:
    f, p = found.statistics, found.softmax
    rows = [
        ("mean m_λ", f"{f.mean:.4g}"),
        ("second moment s_λ", f"{f.second_moment:.4g}"),
        (f"λ_max, {counted(f.n_outliers, 'eigenvalue')} near", f"{f.largest:.4g}"),
        ("upper end of λ_max at these widths", f"{f.largest_edge:.4g}"),
        (f"bulk, {counted(f.n_bulk, 'eigenvalue')} near", f"{f.bulk:.4g}"),
        ("trace", f"{f.trace:.4g}"),
    ]
    title = f"Fisher matrix, {counted(found.samples, 'sample')}, squared error"
    caption = "Sum over outputs, mean over samples; the other eigenvalues are 0."
    if p is not None and found.softmax_sd is not None:
        sd = found.softmax_sd
        rows += [
            ("cross-entropy: m_λ", f"{p.mean:.4g} ± {sd.mean:.1g}"),
            ("cross-entropy: s_λ", f"{p.second_moment:.4g} ± {sd.second_moment:.1g}"),
            ("cross-entropy: λ_max at least", f"{p.lower:.4g} ± {sd.lower:.1g}"),
            ("cross-entropy: λ_max at most", f"{p.upper:.4g} ± {sd.upper:.1g}"),
        ]
        caption += f"\nCross-entropy: mean ± sd over {counted(found.draws, 'draw')} of the outputs."
    return TextTable(title, caption, ("reading", "value"), rows)


def _rates(found: Prediction) -> TextTable:
    rows = [
        (
            f"{width}{' ←' if width == found.order.reference_width else ''}",
            f"{r.limit:.3g}",
            f"{r.safe:.3g}",
            *([] if r.fastest is None else [f"{r.fastest:.3g}"]),
            f"{r.advised:.3g}",
        )
        for width, r in zip(found.widths, found.by_width, strict=True)
    ]
    fastest = ("fastest",) if found.rates.fastest is not None else ()
    head = ("width", "limit", "safe", *fastest, "advised")
    title = f"Learning rates by width, {found.loss}"
    caption = (
        "limit: above it the sharpest direction grows, at infinite width; safe: the same at the "
        "upper end of λ_max.\nAll hidden widths are scaled alike; ← the network given."
    )
    return TextTable(title, caption, head, rows, left=0)
