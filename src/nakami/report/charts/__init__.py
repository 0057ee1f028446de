"""One kit of charts: axes, marks and what they share."""
