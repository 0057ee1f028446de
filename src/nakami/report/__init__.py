"""Results become one self-contained HTML page, and figures for documents."""

from ._write import figures, write

__all__ = ["figures", "write"]
