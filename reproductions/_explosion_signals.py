"""Signals of a recurrent training that might say beforehand that its gradients will explode."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from nakami.recurrent.explosion._backward_growth import backward_growth
from nakami.recurrent.explosion._witness import Witness


class Signals:
    """Reads a net of source 004 after each backward pass; ``net.gru`` is its recurrent layer.

    norm: of the whole gradient. growth, mean_growth: of a backward signal over ``length`` steps,
    largest and mean of all windows of 4 sequences. sigma: largest singular value of the matrix from
    the state to the candidate (GRU, LSTM) or to the state (RNN). radius: spectral radius of
    ``I/2 + W_hn/4`` (GRU) or of the matrix. cosine: of this gradient and the last. secant: rate
    times the curvature along the last step, ``(g_before - g) g_before / |g_before|^2``; above 2
    plain descent is unstable. agc: share of rows whose gradients AGC would clip at 0.01 (not of the
    output layer).
    """

    def __init__(self, net: nn.Module, length: int):
        self.net, self.length = net, length
        self.witness = Witness(net, 4)
        self.before: Tensor | None = None

    @torch.no_grad()
    def read(self) -> dict[str, float]:
        """All signals; cosine and secant are 1 and 0 at the first step."""
        layer = self.net.gru
        assert isinstance(layer, nn.RNNBase)
        gradient = torch.cat(
            [p.grad.flatten() for p in self.net.parameters() if p.grad is not None]
        )
        growth = backward_growth(layer, self.witness.seen["gru"], self.length)["l0"]
        matrix = layer.weight_hh_l0.detach()
        hidden = matrix.shape[1]
        at = {"GRU": 2, "LSTM": 2, "RNN_TANH": 0}[layer.mode]
        block = matrix[at * hidden : (at + 1) * hidden]
        finite = bool(block.isfinite().all())
        jacobian = torch.eye(hidden) / 2 + block / 4 if layer.mode == "GRU" else block
        before = gradient if self.before is None else self.before
        self.before = gradient
        self.matrix = matrix.clone()
        return {
            "norm": float(gradient.norm()),
            "growth": float(growth.max()),
            "mean_growth": float(growth.mean()),
            "sigma": float(torch.linalg.matrix_norm(block, 2)) if finite else math.inf,
            "radius": float(torch.linalg.eigvals(jacobian).abs().max()) if finite else math.inf,
            "cosine": float(cosine_similarity(before, gradient, dim=0)),
            "secant": float((before - gradient) @ before / (before @ before)),
            "agc": self._clipped_rows(),
        }

    @torch.no_grad()
    def update(self) -> float:
        """After the step: norm of what it changed in the recurrent matrix over its norm before."""
        layer = self.net.gru
        assert isinstance(layer, nn.RNNBase)
        return float((layer.weight_hh_l0 - self.matrix).norm() / self.matrix.norm())

    def _clipped_rows(self) -> float:
        """As source 004's AGC has it."""
        clipped, rows = 0, 0
        for name, p in self.net.named_parameters():
            if name.startswith("out.") or p.grad is None:
                continue
            norms = [t.reshape(len(t), -1).norm(dim=1) for t in (p.grad, p)]
            clipped += int((norms[0] > 0.01 * norms[1].clamp_min(1e-3)).sum())
            rows += len(p)
        return clipped / rows
