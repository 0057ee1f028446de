"""What ``export`` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ._agreement import Agreement
from ._int8 import Accuracy, Int8, NumberChange
from ._latency import Latency
from ._model_file import ModelFile


@dataclass(frozen=True)
class Exported:
    """What was written, and how good it is.

    Attributes:
        folder: Holds the file, ``export.json``, ``card.md``, ``labels.json``.
        target: One of ``TARGETS``. file: the model. columns: of a schema, which stand in which
            input, in order.
        unit: Of its inputs. column: whose number comes out, in the unit that it has in the data;
            empty: none. labels: names of the classes; empty: there are none.
        agreement: Its numbers beside torch's.
        fixed: Axes that were to change and do not, in words.
        latency: Of each batch size, of the runtime, ``int8`` there and ``torch``, one thread.
        int8: The file with weights of eight bits; None: not asked for.
        accuracy: Before and after that; None: no labels, or nothing was quantised.
        number_change: By eight bits, of the number of ``column``; None likewise.
        page: Of ``web``, to be served with its folder.
    """

    folder: Path
    target: str
    file: ModelFile
    columns: Mapping[str, Sequence[str]]
    unit: str
    column: str
    labels: tuple[str, ...]
    agreement: Agreement
    fixed: tuple[str, ...]
    latency: Mapping[int, Mapping[str, Latency]]
    int8: Int8 | None
    accuracy: Accuracy | None
    number_change: NumberChange | None = None
    page: Path | None = None

    @property
    def bytes(self) -> int:
        """Size of the model."""
        return self.file.bytes
