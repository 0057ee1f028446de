"""The gain at which a random recurrent net at rest begins to amplify."""

from __future__ import annotations

import math

import numpy as np

from ..results import check_choice, is_number, wrong

KINDS = ("rnn", "gru", "lstm")
NODES, REACH = 4001, 12.0  # of the trapezoidal rule, in standard deviations


def critical_gain(kind: str, bias_std: float = 0.0) -> float:
    """Gain of random weights at which the state of rest of a wide recurrent net turns unstable.

    ``W`` (of a GRU the candidate's matrix ``W_hn``, of an LSTM ``W_hg``, of an RNN ``W_hh``) has
    independent entries of variance ``gain^2 / H``; gates have independent biases ``N(0,
    bias_std^2)``, the candidate has none, inputs are 0. Then state 0 is a fixed point whose
    Jacobian is ``D + A W B`` with random diagonal matrices, and its spectrum reaches 1 where
    ``gain^2 E[a^2 b^2 / (1 - d)^2] = 1``:

    * RNN (tanh): ``1``;
    * GRU, ``D = z``, ``A = (1 - z) r``: ``E[r^2]^(-1/2)``, 2 without biases, whatever the update
      gate does;
    * LSTM, of the cell, ``D = f``, ``A = i``, ``B = o``:
      ``(E[i^2] E[o^2] E[(1 - f)^-2])^(-1/2)``, 2 without biases;
      ``E[(1 - f)^-2] = 1 + 2 e^(s^2/2) + e^(2 s^2)`` for ``s = bias_std``, so wide forget biases
      lower it.

    Args:
        kind: "rnn", "gru" or "lstm".
        bias_std: Of the gates' biases, from 0 on.

    Returns:
        The gain, a standard deviation times ``sqrt(H)``. At H = 700 single nets lie within a few
        percent of it, LSTMs with wide biases within ten.

    Raises:
        UsageError: Another kind, a negative number.

    Source: the edge of the spectrum of ``D + A W B``, Ahmadian, Fumarola and Miller, Phys. Rev. E
    91, 012820 (2015). Applied to gated nets by Fioratti, Marcaccioli and Casola (arXiv 2605.10650),
    whose formula we could not read: the cases here are derived, and tested on random matrices.
    """
    check_choice("kind", kind, KINDS, 'pass "gru"')
    if isinstance(bias_std, bool) or not is_number(bias_std) or not 0 <= bias_std < math.inf:
        raise wrong("bias_std", "be a number from 0 on", repr(bias_std), "0 is the default")
    if kind == "rnn":
        return 1.0
    square = _mean_square_of_a_gate(bias_std)
    if kind == "gru":
        return square**-0.5
    forgets = 1 + 2 * math.exp(bias_std**2 / 2) + math.exp(2 * bias_std**2)
    return float((square**2 * forgets) ** -0.5)


def _mean_square_of_a_gate(std: float) -> float:
    """``E[sigmoid(b)^2]``, ``b`` normal."""
    u = np.linspace(-REACH, REACH, NODES)
    weights = np.exp(-(u**2) / 2)
    gates = 1 / (1 + np.exp(-std * u))
    return float((weights * gates**2).sum() / weights.sum())
