"""Results as JSON on standard output."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

import typer

from nakami.results import Outcome


def plain(value: Any) -> Any:
    """Dataclasses, arrays, tensors and numbers as JSON takes them; NaN and infinity as null."""
    if isinstance(value, Outcome):
        return {**plain(value.record()), "reason": value.reason}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def echo_json(body: dict[str, Any]) -> None:
    """Print JSON, and nothing else, on standard output."""
    typer.echo(json.dumps(body, indent=1, ensure_ascii=False))
