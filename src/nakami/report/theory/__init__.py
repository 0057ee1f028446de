"""The page of a prediction of mean-field theory."""
