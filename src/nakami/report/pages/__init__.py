"""One folder for each kind of page, found by itself: ``ENTRY`` in it is a ``PageKind``."""
