"""The command line: parses, calls, prints. Holds no science, and starts without torch."""

from . import _init_app as _init_app  # registers its command
from . import _lr_app as _lr_app  # registers its command
from . import _theory_app as _theory_app  # registers its command
from ._app import app
from ._guard import main

__all__ = ["app", "main"]
