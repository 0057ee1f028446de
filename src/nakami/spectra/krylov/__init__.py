"""Krylov methods: a basis that grows, what drives it, and what bounds the part outside it."""
