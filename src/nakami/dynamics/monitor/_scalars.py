"""A look as a few numbers by name, for the logger of a host."""

from __future__ import annotations

from ...results import XrayHistory


def scalars(history: XrayHistory) -> dict[str, float]:
    """Of the last look, means over inputs: ``xray/<stage>/s1`` and so on; and the share of time."""
    step = int(history.steps[-1])
    found: dict[str, float] = {}
    for row in history.xray(step).summary():
        named = {
            "s1": row.largest,
            "effective_rank": row.effective_rank,
            "above_1": row.count,
        }
        found |= {f"xray/{row.stage}/{name}": one.mean for name, one in named.items()}
    return found | ({"xray/share_of_time": history.share} if history.training else {})
