"""Kinds of experiments: what each measured, in numbers."""
