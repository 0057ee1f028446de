"""The command line: parses, calls, prints. Holds no science, and starts without torch."""

from ._exit_codes import main

__all__ = ["main"]
