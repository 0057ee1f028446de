"""Gradients of single examples, from what layers take in and what comes back to their outputs."""
