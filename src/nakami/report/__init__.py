"""Results become one self-contained HTML page, and figures for documents."""

from ._write import figures, plot, write
from .page._export import Drawing

__all__ = ["Drawing", "figures", "plot", "write"]
