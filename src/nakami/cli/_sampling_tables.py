"""What ``nakami theory sampling`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._tables import TextTable

if TYPE_CHECKING:
    from nakami.sampling import SamplingStudy


def tables(found: SamplingStudy) -> list[TextTable]:
    """Times, bias and annealing."""
    return [_times(found), _bias(found), _annealing(found)]


def _times(found: SamplingStudy) -> TextTable:
    rows = [
        (one.kernel, *(f"{v:.4g}" for v in one.time), f"{one.violation[-1]:.1e}")
        for one in found.times
    ]
    head = ("kernel", *(f"sd {v:g}" for v in found.times[0].scale), "flux")
    caption = (
        "Exact, in sweeps; 1: independent samples. flux: largest difference between two states, 0 "
        "with detailed balance."
    )
    title = "Autocorrelation time by kernel and weights, 9 x 6 units"
    return TextTable(title, caption, head, rows)


def _bias(found: SamplingStudy) -> TextTable:
    rows = [(one.kernel, *(f"{v:.3g}" for v in one.bias)) for one in found.bias]
    head = ("kernel", *(f"k {int(k)}" for k in found.bias[0].steps))
    caption = f"Bars and stripes, weights of sd {found.scale:g}; the gradient has norm "
    caption += f"{found.gradient:.3g}."
    return TextTable("Norm of the bias of CD-k", caption, head, rows)


def _annealing(found: SamplingStudy) -> TextTable:
    a = found.annealed
    rows = [
        (
            str(row["temperatures"]),
            f"{row['value']:z.4f} ± {row['standard_error']:.2g}",
            f"{row['value'] - a.exact:+z.4f}",
            f"{row['effective']:z.0f} of {a.runs}",
        )
        for row in a.rows()
    ]
    head = ("temperatures", "log Z", "error", "effective runs")
    caption = f"Exact {a.exact:z.4f} nats, at the largest weights; ± one standard error."
    return TextTable("Annealed importance sampling", caption, head, rows, left=0)
