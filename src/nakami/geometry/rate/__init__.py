"""How fast a network may learn: an optimizer's limit, advice from trials, gradient noise."""
