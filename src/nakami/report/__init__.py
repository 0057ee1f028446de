"""Results become one self-contained HTML page, and figures for documents."""

from ._write import figures, write, write_rates, write_theory

__all__ = ["figures", "write", "write_rates", "write_theory"]
