"""Curvature matrices of the parameters."""
