"""Write the page of a result, or its charts alone."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nakami.results import write_whole, wrong

if TYPE_CHECKING:
    from .page._export import Drawing
    from .page._sections import Page


def write(
    result: object, path: str | PathLike[str], about: Mapping[str, Any] | None = None
) -> Path:
    """Write a result as one self-contained HTML page.

    The page holds its charts, pictures, fonts and scripts, and its content policy lets no request
    leave it. The same result gives the same bytes.

    Args:
        result: An ``Xray``, a ``Comparison`` of two, what ``nakami.tune`` and
            ``nakami.learning_rate`` return, a ``geometry.LearningRateReport``, a
            ``theory.meanfield.Prediction``; any type for which ``nakami.report.pages`` has an
            entry.
        path: The file to write; an older one is replaced, missing folders are made.
        about: What the result itself does not know. For learning rates, as texts: ``model``,
            ``optimizer``, ``training``, ``data``, ``input_unit``, ``created`` (ISO), ``versions``
            by name; numbers ``seconds``, ``threads``.

    Returns:
        The path written.

    Raises:
        UsageTypeError: ``result`` has no page.
        UsageError: The extra ``report`` is not installed, ``path`` cannot be written; for x-rays, a
            number is not finite, or no spectrum from the input is there.
    """
    from .page._html import render

    return write_whole(path, render(_page(result, about)), "path")


def figures(
    result: object, theme: str = "light", about: Mapping[str, Any] | None = None
) -> dict[str, Drawing]:
    """The charts of a page with plain colours, for documents.

    Args:
        result: As for ``write``; or an ``SVDResult``, ``EighResult``, ``DensityResult``,
            ``Spectrum``, ``Lens`` or ``LyapunovSpectrum``.
        theme: ``"light"`` or ``"dark"``.
        about: As for ``write``.

    Returns:
        Charts by name, 640 px wide; of an x-ray ``spectra``, ``count``, ``rank``, and where there
        are any ``pair0``, ..., ``change``, ``own``. ``chart.save("name.svg")`` draws one, and
        ``chart.spec`` is complete Vega-Lite for other tools.

    Raises:
        UsageError: As ``write``; or ``theme`` is unknown.
    """
    from .page._html import require

    require()
    from .page._export import drawings
    from .page._kinds import charts_of

    charts, n_curves = charts_of(result, about)
    return drawings(charts, theme, n_curves)


def plot(
    result: object,
    name: str | None = None,
    theme: str = "light",
    about: Mapping[str, Any] | None = None,
) -> Drawing:
    """One chart of ``figures``; what ``plot()`` of a result gives.

    Args:
        result: As for ``write``.
        name: Which one; default the first.
        theme: As for ``figures``.
        about: As for ``write``.

    Raises:
        UsageError: As ``figures``; or there is no chart of this name.
    """
    charts = figures(result, theme, about)
    if name is None:
        return next(iter(charts.values()))
    if name not in charts:
        first, every = next(iter(charts)), ", ".join(map(repr, charts))
        raise wrong("name", f"be one of {every}", repr(name), f"leave it out for {first!r}")
    return charts[name]


def _page(result: object, about: Mapping[str, Any] | None) -> Page:
    """The page of a result, once what draws it is known to be installed."""
    from .page._html import require

    require()
    from .page._kinds import page_of

    return page_of(result, about)
