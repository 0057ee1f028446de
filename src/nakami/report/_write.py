"""Write the page: one HTML file that asks for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nakami.results import Comparison, Xray

from .page._html import Page, render, require, save

if TYPE_CHECKING:
    import altair

    from nakami.geometry import LearningRateReport
    from nakami.theory.meanfield import Prediction

    from .page._sections import Section
    from .xray._page_data import Reading

XRAY_NOTE = (
    "Values in the charts have four digits, pictures eight bits. The full arrays lie in "
    "<code>pieces/*/arrays.safetensors</code> of the run’s folder, the settings in "
    "<code>run.json</code>."
)


def write(what: Xray | Comparison, path: str | PathLike[str]) -> Path:
    """Write an x-ray, or two compared ones, as one self-contained HTML page.

    The page holds its charts, pictures, fonts and scripts, and its content policy lets no request
    leave it. The same result gives the same bytes.

    Args:
        what: One network (``Xray``) or two over the same inputs (``Comparison``).
        path: The file to write; an older one is replaced, missing folders are made.

    Returns:
        The path written.

    Raises:
        UsageError: The extra ``report`` is not installed, a number is not finite, no spectrum from
            the input is there, or ``path`` cannot be written.
    """
    require()
    from .xray._page_data import read

    reading = read(what)
    return save(render(_xray_page(reading), reading=reading), path)


def write_rates(
    report: LearningRateReport, about: dict[str, Any], path: str | PathLike[str]
) -> Path:
    """Write a report on learning rates as one self-contained HTML page.

    Args:
        report: Made by ``nakami.geometry.learning_rate_report``.
        about: What was read, as texts: ``model``, ``optimizer``, ``training``, ``data``,
            ``input_unit``, ``created`` (ISO), ``versions`` by name; numbers ``seconds``,
            ``threads``.
        path: The file to write.

    Returns:
        The path written.

    Raises:
        UsageError: As ``write``.
    """
    require()
    from .learning_rate._page import rates_page

    return save(render(rates_page(report, about)), path)


def write_theory(prediction: Prediction, path: str | PathLike[str]) -> Path:
    """Write a prediction of mean-field theory as one self-contained HTML page, without torch.

    Args:
        prediction: Made by ``nakami.theory.meanfield.predict``.
        path: The file to write.

    Returns:
        The path written.

    Raises:
        UsageError: As ``write``.
    """
    require()
    from .theory._page import theory_page

    return save(render(theory_page(prediction)), path)


def figures(what: Xray | Comparison, theme: str = "light") -> dict[str, altair.LayerChart]:
    """The charts of the page as altair charts, with plain colours, for documents.

    Args:
        what: As for ``write``.
        theme: ``"light"`` or ``"dark"``.

    Returns:
        Charts by name, 640 px wide: ``spectra``, ``count``, ``rank``, and where there are any
        ``pair0``, ..., ``change``, ``own``. ``chart.save("name.svg")`` draws one.

    Raises:
        UsageError: As ``write``; or ``theme`` is unknown.
    """
    require()
    from .page._export import static
    from .xray._page_data import read

    reading = read(what)
    return static([c for s in _sections(reading) for f in s.figures for c in f.charts], theme,
                  len(reading.stages))  # fmt: skip


def _xray_page(reading: Reading) -> Page:
    from markupsafe import Markup

    from .words import _numbers as num
    from .xray._methods import how_table
    from .xray._tables import figures_tables, words
    from .xray._verdict import verdict

    sections = list(_sections(reading))
    charts = [c for s in sections for f in s.figures for c in f.charts]
    thinned = any(c.data.get("src") and max(c.data["src"]["i"]) > 120 for c in charts)
    cut = "Curves are thinned for drawing beyond index 120. " if thinned else ""
    settings = reading.main.run.settings
    name = reading.subject or reading.main.label
    return Page(
        kind="X-ray report",
        title=f"nakami x-ray: {num.short(name, 60)}",
        name=name,
        verdict=verdict(reading),
        sections=sections,
        tables=figures_tables(reading),
        how=how_table(reading),
        note=Markup(cut + XRAY_NOTE),
        words=words(reading),
        n_curves=max(len(reading.stages), *(len(n.own) for n in reading.networks)),
        made="Measured",
        version=str((settings.get("versions") or {}).get("nakami", "")),
        created=str(settings.get("created", "")),
    )


def _sections(reading: Reading) -> Iterator[Section]:
    from .xray._compared import compared_section
    from .xray._counts import kept_section
    from .xray._positions import positions_section
    from .xray._singular_vectors import pictures_section
    from .xray._spectra import own_section, spectra_section

    makers = (
        *(spectra_section, kept_section, compared_section),
        *(pictures_section, positions_section, own_section),
    )
    for make in makers:
        section = make(reading)
        if section is not None:
            yield section
