"""Products of a Jacobian: ways to make them, each checked."""
