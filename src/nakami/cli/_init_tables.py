"""What ``nakami init`` shows: a row for each layer, and the verdicts in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nakami.results import counted, plain

from ._tables import TextTable

if TYPE_CHECKING:
    from nakami.geometry import Initialisation, Passage, Propagation

MOST, ENDS = 24, 8  # rows of a table, and rows at either end of a longer one


def numbers(found: Initialisation) -> dict[str, Any]:
    """The result as plain data, with the verdicts in words."""
    body: dict[str, Any] = plain(found)
    body["measured"] |= _verdicts(found.measured)
    body["proposal"]["after"] |= _verdicts(found.proposal.after)
    return body


def _verdicts(read: Propagation) -> dict[str, Any]:
    return {p.what: _verdict(p) for p in (read.signal, read.gradient)}


def _verdict(passage: Passage) -> dict[str, Any]:
    words = {"verdict": passage.verdict, "text": str(passage)}
    return {**plain(passage), "depth_scale": plain(passage.depth_scale), **words}


def table(found: Initialisation, title: str) -> TextTable:
    """A row for each layer: measured, predicted, and with the proposed scales."""
    theory, after = found.theory, found.proposal.after.layers
    predicted = ("χ theory",) if theory else ()
    head = ("layer", "u²", "apart", "χ", *predicted, "grad²", "×", "u² then", "χ", "grad²")
    rows = []
    for i, (layer, later) in enumerate(zip(found.layers, after, strict=True)):
        share = layer.spread / layer.second_moment if layer.second_moment else float("nan")
        factor, cancels = found.proposal.factors.get(layer.weight), found.proposal.plan.cancels
        rows.append(
            (
                layer.name,
                f"{layer.second_moment:.2g}",
                f"{share:.1g}",
                f"{layer.chi:z.3f}",
                *((f"{theory.chi[i]:z.3f}",) if theory else ()),
                f"{layer.gradient:.1e}",
                "cancels" * (layer.weight in cancels) if factor is None else f"{factor:.3g}",
                f"{later.second_moment:.2g}",
                f"{later.chi:z.3f}",
                f"{later.gradient:.1e}",
            )
        )
    if len(rows) > MOST:
        rows = [*rows[:ENDS], ("…",) * len(head), *rows[-ENDS:]]
    caption = (
        "u²: mean square of a layer's output; apart: the share of it that differs between inputs.\n"
        "χ: mean squared singular value of the step into the layer; grad²: |∂f/∂u|², what comes "
        "back.\n×: proposed factor on its matrix; what follows: with the proposed weights."
    )
    if found.proposal.plan.cancels:
        caption += (
            "\ncancels: normalised afterwards, so a factor changes no output, only how fast the "
            "layer learns."
        )
    errors = [layer.chi_se / layer.chi for layer in found.layers if layer.chi > 0]
    returns = [row.gradient_se / row.gradient for row in found.layers if row.gradient > 0]
    caption += (
        f"\nStandard errors, from {counted(found.probes, 'probe')}: "
        f"χ at most {max(errors, default=0):.1%}, "
        f"grad² {max(returns, default=0):.1%}."
    )
    return TextTable(f"{title}, {counted(found.n_examples, 'example')}", caption, head, rows)


def sentences(found: Initialisation) -> list[str]:
    """The verdicts and the proposal in sentences."""
    lines = _passages(found.measured)
    point = found.theory.criticality if found.theory else None
    if point is not None:
        lines.append(
            f"Theory: {point.phase}, chi {point.chi_1:z.3f} in equal layers of variance "
            f"{point.weight_variance:.3g} / fan-in; correlations settle over {point.xi_c:.2g} "
            "layers."
        )
    elif found.uncovered:
        lines.append(f"No theory: {found.uncovered}.")
    if found.batch_normalisation:
        lines.append(f"Batch normalisation: {found.batch_normalisation}.")
    proposal = found.proposal
    lines.append(f"Proposal: {proposal.plan.rule}.")
    lines += [f"  {note}." for note in proposal.plan.notes]
    left = [name for name in proposal.left if name not in proposal.plan.cancels]
    if left:
        lines.append(f"  Left as they are: {', '.join(left)}.")
    return [*lines, *(f"Then {line[0].lower()}{line[1:]}" for line in _passages(proposal.after))]


def _passages(read: Propagation) -> list[str]:
    lines = [f"{str(p).capitalize()}." for p in (read.signal, read.gradient)]
    if read.end_to_end == read.end_to_end:
        lines.append(f"End to end: mean squared singular value {read.end_to_end:.3g}.")
    return lines
