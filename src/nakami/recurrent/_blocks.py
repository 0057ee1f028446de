"""Where a gated recurrent unit keeps the matrix from its state to its candidate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from ..operators import sharded
from ..results import wrong, wrong_type
from ._projection import TOLERANCE


class Block(NamedTuple):
    """The candidate's recurrent matrix of one layer and direction: the last H rows of a parameter.

    Attributes:
        name: Of the parameter in the model, as ``named_parameters`` has it.
        parameter: Shape (3 H, H), rows in torch's order r, z, n.
    """

    name: str
    parameter: nn.Parameter

    @property
    def matrix(self) -> Tensor:
        """W_hn, a view of shape (H, H)."""
        return self.parameter.detach()[-self.parameter.shape[1] :]


def candidate_blocks(model: nn.Module) -> list[Block]:
    """W_hn of each layer and direction of every ``nn.GRU`` and ``nn.GRUCell`` of a model.

    Args:
        model: Any module, wrapped (``DataParallel``, ``torch.compile``) or not; shared weights
            come once.

    Returns:
        One block or more, in the model's order.

    Raises:
        UsageError: No GRU; weights that another module makes (parametrizations), that are sharded
            or of half precision.
    """
    given: object = model
    if not isinstance(given, nn.Module):
        way_out = "pass the module that holds the nn.GRU"
        raise wrong_type("model", "be a torch module", type(model).__name__, way_out)
    found, seen, parts = [], set[int](), sharded(model)
    for prefix, unit in model.named_modules():
        if isinstance(unit, nn.GRU | nn.GRUCell):
            for name in _names(unit):
                path = f"{prefix}.{name}" if prefix else name
                weight = _checked(unit, name, path, parts)
                if id(weight) not in seen:
                    seen.add(id(weight))
                    found.append(Block(path, weight))
    if not found:
        kinds = sorted({type(m).__name__ for m in model.modules() if isinstance(m, nn.RNNBase)})
        way_out = (
            "for a GRU of your own call nakami.recurrent.project on the matrix of its candidate "
            "after each optimizer step"
        )
        got = ", ".join(kinds) or type(model).__name__
        raise wrong("model", "hold an nn.GRU or nn.GRUCell", got, way_out)
    return found


def _names(unit: nn.Module) -> Iterator[str]:
    if isinstance(unit, nn.GRUCell):
        yield "weight_hh"
    else:
        assert isinstance(unit, nn.GRU)
        for layer in range(unit.num_layers):
            yield f"weight_hh_l{layer}"
            if unit.bidirectional:
                yield f"weight_hh_l{layer}_reverse"


def _checked(unit: nn.Module, name: str, path: str, parts: Mapping[int, str]) -> nn.Parameter:
    weight = unit._parameters.get(name)
    if weight is None:
        way_out = "take the parametrization off, or constrain the matrix within it"
        raise wrong("model", f"hold {path} as a parameter", "a tensor made anew each time", way_out)
    if id(weight) in parts:
        way_out = "shard other layers, or keep the GRU whole on each process"
        raise wrong("model", f"hold {path} whole", f"a {parts[id(weight)]}", way_out)
    if weight.dtype not in TOLERANCE:
        way_out = "keep the weights in float32 and run the steps under torch.autocast"
        raise wrong("model", f"hold {path} in float32 or float64", str(weight.dtype), way_out)
    return weight
