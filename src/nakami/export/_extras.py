"""What the packages of an extra need around them: an error that names it, and silence."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from nakami.results import RunError


@contextmanager
def needed(form: str, extra: str) -> Iterator[None]:
    """Within it, what an extra brings is imported.

    Raises:
        RunError: It is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise RunError(
            f"export to {form} needs {error.name}, which is not installed; "
            f"pip install 'nakami[{extra}]'."
        ) from error


@contextmanager
def quiet(*names: str, level: int = logging.CRITICAL) -> Iterator[None]:
    """Without warnings and the remarks of these loggers to their own developers."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(level)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.setLevel(was)
