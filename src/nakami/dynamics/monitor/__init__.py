"""Small x-rays between the steps of a training."""
