"""The second learning-rate protocol: twelve and twelve tasks, at the lengths people train for."""
