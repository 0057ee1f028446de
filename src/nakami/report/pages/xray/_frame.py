"""All of the page of an x-ray but its sections."""

from __future__ import annotations

from markupsafe import Markup

from ...page._sections import Frame, Section
from ...words import _numbers as num
from ._methods import how_table
from ._page_data import Reading
from ._series import WHOLE
from ._tables import figures_tables, words
from ._verdict import verdict

NOTE = Markup(
    "Values in the charts have four digits, pictures eight bits. The full arrays lie in "
    "<code>pieces/*/arrays.safetensors</code> of the run’s folder, the settings in "
    "<code>run.json</code>."
)
THINNED = f"Curves are thinned for drawing beyond index {WHOLE}. "


def frame(reading: Reading, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    drawn = [c.data["src"] for s in sections for f in s.figures for c in f.charts if c.curves]
    thinned = any(max(rows["i"]) > WHOLE for rows in drawn)
    settings, name = reading.main.run.settings, reading.subject or reading.main.label
    return Frame(
        kind="X-ray report",
        title=f"nakami x-ray: {num.short(name, 60)}",
        name=name,
        verdict=verdict(reading),
        tables=figures_tables(reading),
        how=how_table(reading),
        note=THINNED + NOTE if thinned else NOTE,
        words=words(reading),
        n_curves=max(len(reading.stages), *(len(n.own) for n in reading.networks)),
        made="Measured",
        version=str((settings.get("versions") or {}).get("nakami", "")),
        created=str(settings.get("created", "")),
    )
