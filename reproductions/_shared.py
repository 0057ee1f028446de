"""What several scripts share: charts where they can be drawn, and the line a report ends with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nakami.results import versions


def charts() -> Any:
    """altair, or None with a word on how to get it."""
    try:
        import altair
    except ImportError:
        print("no chart: pip install altair vl-convert-python")
        return None
    return altair


def kept(file: Path) -> dict[str, Any]:
    """What a script has written of one network."""
    body: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return body


def made_in(cpu: float) -> str:
    """CPU seconds on one thread, and the versions."""
    made = ", ".join(f"{name} {number}" for name, number in versions().items())
    return f"{cpu / 60:.1f} CPU minutes on one thread. {made}."
