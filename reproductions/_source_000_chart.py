"""The chart of source 000: how many singular values lie above 1, by depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt


def draw(levels: list[dict[str, Any]], path: Path) -> None:
    """Counts from the input by layer, a point for each seed, a line for their mean; SVG."""
    rows = [
        {"network": _name(r), "seed": r["seed"], "layer": stage, "count": values["count"][0]}
        for r in levels
        if r["reconstruction"] == "sample"
        for stage, values in r["input"].items()
    ]
    order = list(dict.fromkeys(row["network"] for row in rows))
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("layer:N", title="Jacobian from the input to", axis=alt.Axis(labelAngle=0)),
        color=alt.Color("network:N", sort=order, title=None),
        xOffset=alt.XOffset("network:N", sort=order),
    )
    points = base.mark_point(filled=True, opacity=0.6).encode(
        y=alt.Y("count:Q", title="singular values above 1 (mean over images)")
    )
    means = base.mark_tick(thickness=2, width=14).encode(y="mean(count):Q")
    (means + points).properties(width=460, height=300).save(path)


def _name(record: dict[str, Any]) -> str:
    if record["rate"] is None:
        return "pre-trained"
    return f"fine-tuned, rate {record['rate']:g}, {record['epochs']} epochs"
