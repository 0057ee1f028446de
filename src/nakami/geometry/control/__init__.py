"""A learning rate during training: measured stability, and lowering where training is unstable."""
