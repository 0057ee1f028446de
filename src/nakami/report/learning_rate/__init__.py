"""The page of a learning rate's limit and advice."""
