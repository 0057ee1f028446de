"""Kinds of run, one module each (``nakami.results.Kind``)."""
