"""Small machines with energies of pairs, and one sweep written with loops over states."""

import numpy as np
import torch

from nakami.sampling import Machine

SEEDS = {0.7: 0, 1.5: 0, 3.0: 3}  # scale of the weights: seed
LOG_PARTITIONS = {1.5: 12.89639, 3.0: 20.0917}  # computed independently, in double precision


def random_machine(scale, visible=8, hidden=5, seed=None):
    """``W ~ scale N(0, 1)``; biases ``0.3 N(0, 1)`` less half the sums of weights."""
    g = np.random.default_rng(SEEDS[scale] if seed is None else seed)
    w = scale * g.standard_normal((visible, hidden))
    a = 0.3 * g.standard_normal(visible) - w.sum(1) / 2
    b = 0.3 * g.standard_normal(hidden) - w.sum(0) / 2
    return Machine(*(torch.tensor(part) for part in (np.ascontiguousarray(w.T), a, b)))


def violation(matrix, law):
    """``max |pi_x K_xy - pi_y K_yx|``: 0 where detailed balance holds."""
    flow = law[:, None] * matrix
    return float((flow - flow.T).abs().max())


def doubled(law, matrix):
    """The law on the doubled states of a lifted kernel."""
    return law if len(law) == len(matrix) else torch.cat([law, law]) / 2
