"""The averaged Jacobian of a network between two stages, with its doubt: a Jacobian lens."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ._checks import check_choice, check_count
from ._errors import UsageError, wrong
from ._files import as_json, plain, write_whole
from ._outcome import Ended, Ending, Outcome
from ._plotted import Plotted
from ._record import as_path

Array = npt.NDArray[Any]
SCHEMA = "nakami.lens/1"
SIDES = ("left", "right")
ERROR = "standard error {error:.2g} of the norm"


class LensEnding(Ending):
    """How the reading of prompts ended."""

    READ = True, "{prompts:1 prompt|{prompts} prompts} read, " + ERROR
    PRECISE = (
        True,
        ERROR + ", within {wanted:g}, after {prompts:1 prompt|{prompts} prompts}",
    )
    IMPRECISE = (
        False,
        ERROR + ", above {wanted:g}, after {prompts:1 prompt|{prompts} prompts}",
    )
    UNKNOWN = True, "{prompts:1 prompt|{prompts} prompts}, without a standard error"


@dataclass(frozen=True)
class Jackknifed:
    """A number of the mean matrix with its doubt, by the jackknife over prompts.

    Attributes:
        value: At the mean of all prompts.
        se: Standard error; NaN for one prompt.
        bias: Estimated bias: ``value - bias`` is nearer to what infinitely many prompts give.
    """

    value: float
    se: float
    bias: float

    def __str__(self) -> str:
        """``0.280 ± 0.012``, to two digits of the error."""
        if not (math.isfinite(self.se) and self.se > 0):
            return f"{self.value:.4g}"
        places = min(12, max(0, 1 - math.floor(math.log10(self.se))))
        return f"{self.value:z.{places}f} ± {self.se:z.{places}f}"


@dataclass(frozen=True)
class Direction:
    """A singular direction of a lens, read through a matrix with a row for each word.

    Attributes:
        index: 0 is the largest. value: its singular value. error: standard error of that.
        ahead: Words with the largest products, with these. behind: with the most negative ones.
            The sign of a singular vector is a choice, so both ends are shown.
    """

    index: int
    value: float
    error: float
    ahead: tuple[tuple[str, float], ...]
    behind: tuple[tuple[str, float], ...]


@dataclass(frozen=True, repr=False, eq=False)
class Lens(Plotted, Ended):
    """The averaged Jacobian ``J = E[d to / d stage]``; made by ``nakami.lens``.

    ``J[i, j]``: change of entry i at the positions of ``to``, summed over them, for a change of
    entry j at one position of ``stage``; mean over positions, then over prompts.

    Attributes:
        stage, to: The two stages.
        mean: J, ``(m, d)`` float64, unit of ``to`` per unit of ``stage``.
        variance: Of each entry between prompts, divisor n - 1; NaN for one prompt.
        values: Singular values of J, descending. left, right: their vectors as columns, ``(m, k)``
            and ``(d, k)``.
        value_errors: Standard error of each value. value_biases: its estimated bias (noise makes
            values larger, small ones most).
        norm: Frobenius norm.
        identity: ``alpha = tr J / d``, the multiple of the identity nearest to J.
        identity_share: ``d alpha^2 / |J|_F^2``, its share of the squared norm.
        participation: Effective rank ``(sum s^2)^2 / sum s^4``. participation_beyond: of
            ``J - alpha I``.
        entropy_rank: Effective rank ``exp(H)``, H the entropy of ``s / sum s`` (Roy & Vetterli
            2007). entropy_rank_beyond: of ``J - alpha I``.
        agreement: s_1 of the mean over the mean s_1 of single prompts, at most 1: 1 where all
            stretch one direction alike.
        noise: Spectral norm of half the difference between the means of two halves of the prompts:
            about how far sampling moves a singular value at most. NaN for one prompt.
        n_prompts: How many were read. n_positions: source positions in all of them.
        check: ``|A v - A_forward v| / |A v|`` of the first prompt: its matrix, from reverse
            products, against a product in the other direction. NaN where none was made.
        outcome: How the reading ended; ``converged`` and ``reason`` are read from it.
        settings: Model and data (with hashes), positions, axis, dtype, versions, ...

    Of a matrix that is not square the numbers of the identity are NaN.
    """

    columns: ClassVar[tuple[str, ...]] = ("values", "value_errors", "value_biases")
    stage: str
    to: str
    mean: Array
    variance: Array
    values: Array
    left: Array
    right: Array
    value_errors: Array
    value_biases: Array
    norm: Jackknifed
    identity: Jackknifed
    identity_share: Jackknifed
    participation: Jackknifed
    participation_beyond: Jackknifed
    entropy_rank: Jackknifed
    entropy_rank_beyond: Jackknifed
    agreement: Jackknifed
    noise: float
    n_prompts: int
    n_positions: int
    check: float
    outcome: Outcome
    settings: dict[str, Any]

    def __repr__(self) -> str:
        m, d = self.mean.shape
        return f"Lens({self.stage} to {self.to}, {m} x {d}, {self.reason})"

    @property
    def standard_errors(self) -> Array:
        """Standard error of each entry of ``mean``."""
        return np.asarray(np.sqrt(self.variance / self.n_prompts))

    @property
    def error(self) -> float:
        """Relative standard error of the matrix: root of the summed squared ones over the norm."""
        return float(np.linalg.norm(self.standard_errors) / np.linalg.norm(self.mean))

    @property
    def resolved(self) -> int:
        """How many singular values lie above ``noise``."""
        return int((self.values > self.noise).sum())

    def prompts_for(self, error: float) -> int:
        """How many prompts such a relative standard error needs, as far as these tell."""
        if not error > 0:
            raise wrong("error", "be above 0", error, "0.05 asks for 5 %")
        if math.isnan(self.error):
            raise wrong("error", "be asked of a lens of two prompts or more", "one", "read more")
        return math.ceil(self.n_prompts * (self.error / error) ** 2)

    def words(
        self, matrix: Any, vocabulary: Sequence[str], k: int = 8, *, n: int = 5, side: str = "left"
    ) -> tuple[Direction, ...]:
        """Which words the leading directions write, or read.

        Args:
            matrix: A row for each word, ``(words, m)``: for ``side="left"`` the unembedding, times
                the gains of a last normalisation behind ``to``. For ``"right"`` an embedding,
                ``(words, d)``.
            vocabulary: The words.
            k: Words shown at each end.
            n: Directions.
            side: ``"left"``: what ``to`` gets. ``"right"``: what ``stage`` holds.
        """
        check_choice("side", side, SIDES, "use 'left' for what is written")
        vectors = self.left if side == "left" else self.right
        if hasattr(matrix, "detach"):  # a tensor, of any type and device
            matrix = matrix.detach().cpu().double().numpy()
        rows = np.asarray(matrix, dtype=np.float64)
        wanted = (len(vocabulary), len(vectors))
        if rows.shape != wanted:
            rule = f"have a row for each word and a column for each entry, {wanted}"
            raise wrong(
                "matrix", rule, rows.shape, "pass the weight of the unembedding, (words, m)"
            )
        k = check_count("k", k, len(vocabulary), "words of the vocabulary", "pass fewer")
        n = check_count("n", n, len(self.values), "singular values", "pass fewer")
        return tuple(self._direction(i, rows @ vectors[:, i], vocabulary, k) for i in range(n))

    def _direction(self, i: int, products: Array, vocabulary: Sequence[str], k: int) -> Direction:
        order = np.argsort(-products, kind="stable")
        ends = [
            tuple((vocabulary[at], float(products[at])) for at in some)
            for some in (order[:k], order[::-1][:k])
        ]
        return Direction(i, float(self.values[i]), float(self.value_errors[i]), *ends)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write it as one safetensors file, numbers and words in its metadata.

        Missing folders are made.
        """
        from safetensors.numpy import save

        kept = {name: np.ascontiguousarray(a) for name, a in self.arrays().items()}
        about = {**self.record(), "schema": SCHEMA}
        return write_whole(as_path("path", path), save(kept, {"nakami": as_json(about)}), "path")

    def arrays(self) -> dict[str, Array]:
        """The fields that are arrays."""
        every = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in every.items() if _is_array(value)}

    def record(self) -> dict[str, Any]:
        """The other fields, as JSON takes them."""
        every = {f.name: getattr(self, f.name) for f in fields(self)}
        found = {name: plain(value) for name, value in every.items() if not _is_array(value)}
        return {**found, "outcome": plain(self.outcome.record())}

    @classmethod
    def restore(cls, record: Mapping[str, Any], arrays: Mapping[str, Array]) -> Lens:
        """The inverse of both; unknown names are ignored."""
        known = {f.name for f in fields(cls)}
        about = {name: _restored(value) for name, value in record.items() if name in known}
        about["outcome"] = Outcome.restore(record["outcome"], LensEnding)
        about |= {name: arrays[name] for name in arrays.keys() & known}
        return cls(**about)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Lens:
        """Read what ``save`` wrote.

        Raises:
            UsageError: The file is missing or no lens, or was written by a later layout.
        """
        from safetensors import SafetensorError, safe_open

        place = as_path("path", path, "give the file of a lens")
        try:
            with safe_open(place, "numpy") as file:
                about = json.loads((file.metadata() or {}).get("nakami", "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise UsageError(
                f"path must be a file that a lens was saved to, got {place} ({error}); "
                "write one with lens.save(path)."
            ) from error
        schema = about.pop("schema", "none")
        if schema != SCHEMA:
            rule, way_out = f"hold a lens of layout {SCHEMA}", "write one with lens.save(path)"
            raise wrong("path", rule, f"{schema} in {place}", way_out)
        return cls.restore(about, arrays)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _restored(value: Any) -> Any:
    """What ``plain`` made of a field: NaN comes as None."""
    if value is None:
        return math.nan
    if isinstance(value, dict) and set(value) == {f.name for f in fields(Jackknifed)}:
        return Jackknifed(**{name: _restored(number) for name, number in value.items()})
    return value
