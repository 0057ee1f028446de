"""When and with what a result was measured, as every page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

BESIDE = Markup("All numbers lie in <code>result.json</code> beside this page.")


def measured(settings: Mapping[str, Any]) -> dict[str, str]:
    """``made``, ``version`` and ``created`` of a ``Frame``, from the settings of a run."""
    return {
        "made": "Measured",
        "version": str((settings.get("versions") or {}).get("nakami", "")),
        "created": str(settings.get("created") or ""),
    }


def versions(settings: Mapping[str, Any], *more: str) -> tuple[str, str]:
    """The line of a verdict with the versions of what measured, without builds, and more."""
    each = (settings.get("versions") or {}).items()
    return "Versions", ", ".join([*(f"{k} {str(v).partition('+')[0]}" for k, v in each), *more])
