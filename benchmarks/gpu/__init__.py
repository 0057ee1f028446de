"""Checks and measurements on a CUDA card, ``make gpu``: it takes torch and the checkout."""
