"""What ``nakami theory transport`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._tables import TextTable

if TYPE_CHECKING:
    from nakami.transport import TransportStudy
    from nakami.transport._study import BarycenterRow


def tables(found: TransportStudy) -> list[TextTable]:
    """Losses by blur, and barycenters."""
    return [_losses(found), _barycenters(found)]


def _losses(found: TransportStudy) -> TextTable:
    names = ("reg", "entropic", "lambda_divergence", "sinkhorn_divergence", "own")
    rows = [
        (
            *(f"{row[name]:.4g}" for name in names),
            f"{row['marginal_error']:.1e}",
            f"{row['steps']}{'' if row['converged'] else ' (stopped)'}",
        )
        for row in found.losses.rows()
    ]
    head = ("reg", "C(p, q)", "D[p : q]", "S(p, q)", "C(p, p)", "marginal error", "steps")
    caption = (
        f"Cost |x - y|² on the unit interval; without entropy {found.losses.exact:.4g}.\n"
        "C: <c, P> - reg H(P); D: λ-divergence; S: Sinkhorn divergence."
    )
    return TextTable("Losses of two histograms by blur", caption, head, rows, left=0)


def _barycenters(found: TransportStudy) -> TextTable:
    rows = [
        (
            row.of,
            row.kind,
            f"{row.entropy:.4g}",
            f"{row.input_entropy:.4g}",
            f"{row.distance:.3g}" if row.distance == row.distance else "",
            f"{row.residual:.1e}",
            f"{row.steps}{_ended(row)}",
        )
        for row in found.barycenters
    ]
    head = ("of", "kind", "entropy", "inputs'", "L1 from exact", "residual", "steps")
    names = " and ".join(found.shapes)
    caption = f"Equal weights, reg {found.reg:g}; pictures: {names}. Entropy in nats."
    return TextTable("Barycenters", caption, head, rows, left=2)


def _ended(row: BarycenterRow) -> str:
    if row.converged:
        return ""
    return " (reg too large)" if row.reason.startswith("reg") else " (stopped)"
