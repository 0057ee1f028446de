"""Leading subspaces by depth, and what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import subspace_angles

from .._errors import wrong, wrong_type
from .._experiment import Experiment, ExperimentKind
from .._pairs import PairContrast, pair_contrast
from .._summary import Estimate, estimate


@dataclass(frozen=True, repr=False)
class Subspaces(Experiment):
    """What each depth keeps of its input; made by ``nakami.dynamics.subspaces``.

    The overlap of two subspaces is the mean of the squared cosines of their principal angles,
    ``|A B^T|_F^2 / min(dim A, dim B)`` with orthonormal rows: 1 where one holds the other, 0 where
    they are orthogonal, ``max(dim A, dim B) / n`` on average over random ones. N inputs, S stages,
    r directions, n numbers of an input.

    Attributes:
        arrays: ``right`` (N, S, r, n) float32: orthonormal rows, the leading right singular vectors
            of ``J_all``, 0 behind the first ``rank``. ``rank`` (N, S): how many there are.
            ``values`` (N, S, r + 1): their singular values, and the next; NaN where a stage has
            fewer. ``doubt`` (N, S): bound of the sine of the angle between the computed subspace
            and the true one, ``|residuals| / (s_r - s_(r+1))``, 1 at most (Wedin); it is large
            where no gap ends the subspace. ``point`` (N, n) float32: the inputs. ``decision``
            (N,): largest entry of the output, -1 where it is no decision. ``converged`` (N, S).
    """

    name: ClassVar[str] = "subspaces"

    @property
    def title(self) -> str:
        """What is measured and where."""
        return f"leading subspaces of the input, {self.dimension} directions, by depth"

    @property
    def caption(self) -> str:
        """How the rows are to be read."""
        text = (
            "to_next: overlap with the subspace of the next stage that depends on it; "
            "same, different: of pairs of inputs of one class and of different ones; "
            "kept: share of the difference of two inputs in the subspace; "
            "chance: same, different and kept of random subspaces; "
            "exponent: ln s_1 / depth. "
        )
        classes = "labels" if self.settings["labels"] else "decisions of the network"
        return f"{text}Classes: {classes}. {super().caption}"

    @property
    def dimension(self) -> int:
        """Directions of each subspace, at most."""
        return int(self.settings["dimension"])

    @property
    def depths(self) -> tuple[int, ...]:
        """Weight layers from the input to each stage, on the longest way."""
        return tuple(self.settings["depths"])

    @property
    def following(self) -> tuple[str | None, ...]:
        """For each stage the next one that depends on it, on the way to the output; None of none.

        Runs written before this was found have the next in order of execution.
        """
        return tuple(self.settings.get("next", (*self.stages[1:], None)))

    @property
    def classes(self) -> tuple[int, ...]:
        """The class of each measured input: labels, or the network's own decisions."""
        labels = self.settings["labels"]
        if labels is None:
            return tuple(self.arrays["decision"].tolist())
        return tuple(labels[i] for i in self.inputs)

    def chance(self, stage: str) -> float:
        """Overlap of random subspaces of as many directions, ``rank / n``, mean over inputs."""
        rank = self.arrays["rank"][:, self._stage(stage)]
        return float(rank.mean() / self.arrays["right"].shape[-1])

    def basis(self, stage: str, row: int) -> np.ndarray:
        """Orthonormal rows of the subspace at one stage and measured input, (rank, n)."""
        s = self._stage(stage)
        kept: np.ndarray = self.arrays["right"][row, s, : self.arrays["rank"][row, s]]
        return kept

    def angles(self, stage: str, other: str) -> np.ndarray:
        """Principal angles between two stages, in radians, (N, r), the smallest first.

        NaN behind the smaller of the two dimensions.
        """
        pairs = [(self.basis(stage, i), self.basis(other, i)) for i in range(len(self.inputs))]
        return np.stack([_angles(a, b, self.dimension) for a, b in pairs])

    def against(self, other: Subspaces) -> dict[str, np.ndarray]:
        """Principal angles to the subspaces of another network at the same inputs.

        Args:
            other: Of another checkpoint, say; of the same inputs.

        Returns:
            For each shared stage ``(inputs, r)`` radians, the smallest first, r of the smaller
            ``dimension``; a row for each input that both measured, in order.

        Raises:
            UsageError: Other inputs, another start, no stage in common.
        """
        given: object = other
        if not isinstance(given, Subspaces):
            raise wrong_type("other", "be Subspaces", type(given).__name__, "pass a result")
        for field in ("inputs_sha256", "source"):
            mine, theirs = self.settings[field], other.settings[field]
            if mine != theirs:
                way_out = "measure both networks at the same inputs"
                raise wrong("other", f"have the {field} of this one, {mine!r}", theirs, way_out)
        shared = [name for name in self.stages if name in other.stages]
        if not shared:
            rule = f"share a stage with {', '.join(self.stages)}"
            raise wrong("other", rule, ", ".join(other.stages), "measure both at the same stages")
        both = [i for i in self.inputs if i in other.inputs]
        rows = [(self.inputs.index(i), other.inputs.index(i)) for i in both]
        r = min(self.dimension, other.dimension)
        return {
            name: np.stack(
                [_angles(self.basis(name, i)[:r], other.basis(name, j)[:r], r) for i, j in rows]
            )
            for name in shared
        }

    def overlap(self, stage: str, other: str) -> Estimate:
        """Overlap of the subspaces of two stages at one input, mean over inputs."""
        pairs = [(self.basis(stage, i), self.basis(other, i)) for i in range(len(self.inputs))]
        return estimate([_overlap(a, b) for a, b in pairs])

    def between(self, stage: str) -> PairContrast:
        """Overlap of the subspaces of two inputs, within classes and between them."""
        n = len(self.inputs)
        bases = [self.basis(stage, i) for i in range(n)]
        found = np.full((n, n), np.nan)
        for i, j in zip(*np.triu_indices(n, 1), strict=True):
            found[i, j] = found[j, i] = _overlap(bases[i], bases[j])
        return pair_contrast(found, self.classes, self.chance(stage))

    def kept(self, stage: str) -> PairContrast:
        """Share of the difference of two inputs that lies in the subspace, ``|P d|^2 / |d|^2``.

        Mean of the subspaces of the two; differences within classes and between them. Beside the
        chance of random subspaces: inputs that differ in smooth ways share more with smooth
        directions for that alone, so that the contrast of the classes says more.
        """
        points = self.arrays["point"].astype(np.float64)
        n = len(points)
        found = np.full((n, n), np.nan)
        for i in range(n):
            apart, basis = points - points[i], self.basis(stage, i).astype(np.float64)
            size = (apart**2).sum(1) * (len(basis) > 0)  # 0 of equal inputs, and without a basis
            inside = ((apart @ basis.T) ** 2).sum(1)
            found[i, size > 0] = inside[size > 0] / size[size > 0]
        return pair_contrast((found + found.T) / 2, self.classes, self.chance(stage))

    def exponents(self, stage: str) -> list[Estimate]:
        """Finite-time Lyapunov exponents ``ln s_i / depth`` by index, mean over inputs.

        Depth is the number of weight layers on the longest way to the stage. As many as lie above
        the floor of the arithmetic at every input.
        """
        s = self._stage(stage)
        r = int(self.arrays["rank"][:, s].min(initial=self.dimension))
        logs = np.log(self.arrays["values"][:, s, :r]) / self.depths[s]
        return [estimate(logs[:, i]) for i in range(r)]

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each stage: overlaps, shares and the first exponent, with errors."""
        out = []
        nowhere = Estimate(float("nan"), float("nan"), 1)
        for s, stage in enumerate(self.stages):
            after = self.following[s]
            step = nowhere if after is None else self.overlap(stage, after)
            first = next(iter(self.exponents(stage)), nowhere)
            pairs, kept = self.between(stage), self.kept(stage)
            row = {"stage": stage, "depth": self.depths[s], "to_next": step.mean}
            row |= {
                "to_next_se": step.se,
                "chance": pairs.chance,
                "same": pairs.same.mean,
                "same_se": pairs.same.se,
            }
            row |= {"different": pairs.different.mean, "different_se": pairs.different.se}
            row |= {"kept_same": kept.same.mean, "kept_different": kept.different.mean}
            out.append({**row, "exponent": first.mean, "exponent_se": first.se})
        return out

    def as_dict(self) -> dict[str, Any]:
        """What was read, in a few numbers and words: at the last stage."""
        stage = self.stages[-1]
        body: dict[str, Any] = {"stage": stage, "inputs": len(self.inputs)}
        body |= {"dimension": self.dimension, "chance": self.chance(stage)}
        for name, found in (("overlap", self.between(stage)), ("kept", self.kept(stage))):
            body |= {f"{name}_same": found.same.mean, f"{name}_different": found.different.mean}
            body |= {f"{name}_verdict": found.verdict}
        return body | {"largest_doubt": float(self.arrays["doubt"].max())}


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared cosine of the principal angles; NaN where one is empty."""
    least = min(len(a), len(b))
    return float(((a @ b.T) ** 2).sum() / least) if least else float("nan")


def _angles(a: np.ndarray, b: np.ndarray, r: int) -> np.ndarray:
    found = np.full(r, np.nan)
    least = min(len(a), len(b))
    if least:
        found[:least] = subspace_angles(a.T.astype(np.float64), b.T.astype(np.float64))[::-1]
    return found


ENTRY = ExperimentKind(Subspaces)
