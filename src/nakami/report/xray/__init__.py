"""The page of an x-ray, of one network or of two."""
