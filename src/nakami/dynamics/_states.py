"""The states of many examples at one stage."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..operators import FunctionalModel
from ..results import wrong
from ._plan import Plan, planned

PART = 512  # examples in one run of the network


def planned_alone(network: FunctionalModel, inputs: Any, stages: Any, purpose: str) -> Plan:
    """The stages of an x-ray of these inputs; refuses a network whose rows see each other."""
    plan = planned(network, inputs, stages, None, False, None)
    if plan.inputs.whole:
        way_out = f"{purpose} a network that takes the rows of a batch one by one"
        raise wrong("model", "see each example alone", "rows that see each other", way_out)
    return plan


@torch.no_grad()
def states_at(network: FunctionalModel, inputs: Tensor, stage: str) -> Tensor:
    """All entries of the states at one stage, ``(N, d)``, float64, on the CPU."""
    parts = []
    for part in inputs.split(PART):
        example = network.example(part, batch=True)
        state = example.tree
        if stage != "input":
            (state,) = network.read_at(network.activations(state, (stage,)))
        parts.append(state.detach().to("cpu", torch.float64).reshape(len(part), -1))
    return torch.cat(parts)
