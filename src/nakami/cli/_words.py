"""Foreign errors in our words."""

from __future__ import annotations


def one_line(error: BaseException, limit: int = 300) -> str:
    """Type and first line of a foreign error, for use inside a sentence."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return (text if len(text) <= limit else text[: limit - 3] + "...").rstrip(".")
