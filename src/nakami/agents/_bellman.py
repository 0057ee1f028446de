"""The target of Q-learning, and the loss of a network against it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def bellman_target(
    rewards: Tensor, ended: Tensor, next_values: Tensor, discount: float = 0.99
) -> Tensor:
    """``r + discount (1 - ended) max_a Q(s', a)``, without gradient, ``(N,)``.

    Args:
        rewards: Of each step, ``(N,)``.
        ended: Whether the game was over after it, ``(N,)`` of 0 and 1; a game that was only cut at
            its limit of time goes on in this sense.
        next_values: Of all actions in the state after it, by the target network, ``(N, actions)``.
        discount: Of what comes one step later.
    """
    return rewards + discount * (1 - ended.to(rewards)) * next_values.detach().amax(1)


def temporal_difference(values: Tensor, actions: Tensor, target: Tensor) -> Tensor:
    """Mean Huber loss of the values of the actions taken: half a square up to 1, linear beyond.

    Its gradient is the error cut to -1..1, as Mnih et al. (2015) have it.

    Args:
        values: Of all actions, ``(N, actions)``.
        actions: Those taken, ``(N,)`` int64.
        target: As ``bellman_target`` gives it, ``(N,)``.
    """
    return F.smooth_l1_loss(values.gather(1, actions[:, None])[:, 0], target)
