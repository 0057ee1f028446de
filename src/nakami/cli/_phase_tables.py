"""What ``nakami theory phase`` shows."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from ._tables import TextTable

if TYPE_CHECKING:
    from nakami.theory.phase import PhaseStudy


def tables(found: PhaseStudy) -> list[TextTable]:
    """Transitions, and message passing beside theory."""
    return [_transitions(found), *([_instances(found)] if len(found.instances.alpha) else [])]


def _transitions(found: PhaseStudy) -> TextTable:
    rows = [
        (
            f"{one.alpha:g}",
            *(
                f"{value:.4g}" if isfinite(value) else "none"
                for value in (
                    one.beta_appears, one.beta_t, one.beta_ends, one.q_before, one.q_after,
                )
            ),
        )
        for one in found.transitions
    ]  # fmt: skip
    end = found.diagram.critical
    caption = (
        "β: patterns without labels over N. Between the first and the last both states are stable; "
        f"in the middle they are equal.\nWithout labels a start that knows nothing learns nothing "
        f"below β_c {found.diagram.weak_recovery:.4g}"
    )
    better = found.diagram.better_from
    late = f", though a better state is the likelier one from β {better:.4g} on"
    caption += f"{late if isfinite(better) else ''}."
    if end.exists:
        caption += f" The jump ends at α {end.alpha:.4g}, β {end.beta:.4g}."
    head = ("labels α", "low error from β", "equal at β", "high error to β", "q before", "q after")
    return TextTable(f"Margin perceptron, κ {found.kappa:g}: jumps", caption, head, rows, left=0)


def _unsettled(stages: str) -> str:
    return f" ({stages}: no fixed point)" if stages else ""


def _instances(found: PhaseStudy) -> TextTable:
    rows = [
        (
            f"{row['alpha']:g}", f"{row['beta']:.3g}", f"{row['pretrained']:z.3f}",
            f"{row['error']:z.3f}" if row["alpha"] else "none", f"{row['expected']:z.3f}",
            f"{row['steps']}{_unsettled(row['unsettled'])}",
        )
        for row in found.instances.rows()
    ]  # fmt: skip
    title = f"Message passing, N {found.instances.dimension}: without labels, then with them"
    caption = "Errors on Gaussian patterns; expected: nearest stable state of infinite N."
    head = ("labels α", "β", "pre-trained", "fine-tuned", "expected", "steps")
    return TextTable(title, caption, head, rows, left=0)
