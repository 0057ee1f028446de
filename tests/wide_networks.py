"""Random fully connected networks in NumPy, and their tangent kernel from its definition."""

from itertools import pairwise

import numpy as np
from scipy import special

PHI = {
    "linear": (lambda u: u, np.ones_like),
    "relu": (lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(u.dtype)),
    "tanh": (np.tanh, lambda u: 1 - np.tanh(u) ** 2),
    "erf-sqrt2": (
        lambda u: special.erf(u / np.sqrt(2)),
        lambda u: np.sqrt(2 / np.pi) * np.exp(-(u**2) / 2),
    ),
}
LAWS = {"relu": (2, 0), "tanh": (3, 0.64), "linear": (1, 0.1), "erf-sqrt2": (3, 0.64)}


def draw(widths, w, b, rng):
    """Weights and biases of each layer, ``N(0, w / fan-in)`` and ``N(0, b)``; one w, b or many."""
    depth = len(widths) - 1
    w, b = np.broadcast_to(w, depth), np.broadcast_to(b, depth)
    return [
        (rng.standard_normal((m, n)) * (w[i] / n) ** 0.5, rng.standard_normal(m) * b[i] ** 0.5)
        for i, (n, m) in enumerate(pairwise(widths))
    ]


def forward(net, x, phi):
    """States ``h^0 .. h^{L-1}`` and inputs ``u^1 .. u^L`` of the layers, ``(T, M_l)`` each."""
    states, inputs = [x], []
    for i, (weight, bias) in enumerate(net):
        inputs.append(states[-1] @ weight.T + bias)
        if i < len(net) - 1:
            states.append(PHI[phi][0](inputs[-1]))
    return states, inputs


def kernel(net, x, phi):
    """Tangent kernel of weights and biases and outputs: ``(C T, C T)``, ``(T, C)``."""
    states, inputs = forward(net, x, phi)
    samples, outputs = inputs[-1].shape
    delta = np.repeat(np.eye(outputs)[:, None, :], samples, axis=1)  # (C, T, C)
    out = np.zeros((outputs * samples,) * 2)
    for i in reversed(range(len(net))):
        flat = delta.reshape(outputs * samples, -1)
        out += (flat @ flat.T) * np.tile(states[i] @ states[i].T + 1, (outputs, outputs))
        if i:
            delta = (delta @ net[i][0]) * PHI[phi][1](inputs[i - 1])
    return out, inputs[-1]
