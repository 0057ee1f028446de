"""How signals and gradients pass through a network, and initial scales that let them pass."""
