"""What an exported file would drop or do otherwise without a word, so that it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nakami.results import RunError


@dataclass(frozen=True)
class Dropped:
    """An argument of an operator.

    Attributes:
        name: As the operator names it. usual: values that are right in the file.
        said: What a person knows it as. way_out: what to type.
    """

    name: str
    usual: tuple[Any, ...]
    said: str
    way_out: str


POOLS = Dropped(
    "divisor_override", (None,), "divisor_override of an average pool",
    "multiply by the ratio of both divisors behind a plain AvgPool",
)  # fmt: skip
DROPPED = {
    "avg_pool2d": POOLS,
    "avg_pool3d": POOLS,
    "cross_entropy_loss": Dropped(
        "label_smoothing", (0.0, 0), "label_smoothing of cross_entropy",
        "export the network without its loss",
    ),
    "scatter_reduce": Dropped(
        "reduce", ("sum", "prod", "amax", "amin"), 'reduce="mean" of scatter_reduce',
        "divide a sum by a count",
    ),
}  # fmt: skip


def refuse_dropped(graph: Any) -> None:
    """Refuse a graph of ``torch.export`` with an argument that its file would not have.

    Raises:
        RunError: There is one.
    """
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        dropped = DROPPED.get(schema.name.rpartition("::")[2]) if schema else None
        if schema is None or dropped is None:
            continue
        values = dict(zip((a.name for a in schema.arguments), node.args, strict=False))
        value = {**values, **node.kwargs}.get(dropped.name, dropped.usual[0])
        if value not in dropped.usual:
            raise RunError(
                f"an ONNX file would not have the {dropped.said}, which torch leaves out without "
                f"a word; {dropped.way_out}."
            )


def refuse_state(program: Any) -> None:
    """Refuse a program of ``torch.export`` that changes its buffers when it is called.

    Raises:
        RunError: It does: an ONNX file would leave the change out, others keep it between calls.
    """
    if changed := sorted(set(program.graph_signature.buffers_to_mutate.values())):
        raise RunError(
            f"a call changes {', '.join(changed)} of this network, which no exported file does "
            "alike; give back the new value as an output."
        )
