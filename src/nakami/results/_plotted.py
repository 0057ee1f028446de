"""Results that have charts. The room that draws them lies above and is named from above."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._shown import Shown

Drawer = Callable[[Any, str | None, str], Any]
_drawers: list[Drawer] = []


def drawn_by(drawer: Drawer) -> None:
    """Say what draws results: ``drawer(result, name, theme)`` returns one chart.

    The package itself says it, once, so that no room has to know the one that draws.
    """
    _drawers[:] = [drawer]


class Plotted(Shown):
    """Base of results that have charts."""

    def plot(self, name: str | None = None, theme: str = "light") -> Any:
        """One chart of the result, as its page has it.

        Args:
            name: Which one; default the first. ``nakami.report.figures(result)`` has all by name.
            theme: ``"light"`` or ``"dark"``.

        Returns:
            A ``nakami.report.Drawing``. A notebook shows it, ``save("chart.svg")`` writes it (also
            ``.png``, ``.html``, ``.json``) and makes missing folders, ``spec`` is the Vega-Lite
            specification.

        Raises:
            UsageError: No chart of this name; the extra ``report`` is not installed.
        """
        return _drawers[0](self, name, theme)
