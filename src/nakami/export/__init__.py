"""Trained networks leave: a file for another runtime, checked against torch before it is named.

``from_run(folder)`` takes a network of what ``nakami train`` has made; ``export(source, out, to)``
writes it with labels and preparation, compares the file's numbers with torch's on real inputs,
measures size and latency, and makes its int8 form. Everything found lies in ``export.json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nakami.results import lazy

if TYPE_CHECKING:
    from ._agreement import Agreement as Agreement
    from ._export import ahead as ahead
    from ._export import export as export
    from ._exported import Exported as Exported
    from ._formats import TARGETS as TARGETS
    from ._source import Source as Source
    from ._source import from_run as from_run
    from ._source import read_xray as read_xray

__getattr__, __dir__, __all__ = lazy(__name__)
