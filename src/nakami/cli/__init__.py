"""The command line: parses, calls, prints. Holds no science, and starts without torch."""

from ._app import app
from ._exit_codes import main

__all__ = ["app", "main"]
