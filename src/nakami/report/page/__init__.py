"""The page itself: sections, colours, HTML, and charts outside of it."""
