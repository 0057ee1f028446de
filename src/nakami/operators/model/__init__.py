"""A model as a function of its input, its weights and its stages."""
