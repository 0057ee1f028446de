"""Experiments at the inputs of an x-ray; one entry a file."""
