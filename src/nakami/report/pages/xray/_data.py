"""What the page is about: one or two runs, put in the order in which they are told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from nakami.results import (
    Comparison,
    PairedChange,
    Spectrum,
    StageSummary,
    UsageError,
    Xray,
    paired_change,
    wrong,
)

from ...page._sections import Figure, Section, section
from ...words._numbers import short
from ...words._sentences import Sentence, Sentences

say = Sentences(__file__)


@dataclass(frozen=True)
class Network:
    """One run with the name that the page gives it."""

    label: str
    run: Xray

    @cached_property
    def rows(self) -> dict[str, StageSummary]:
        """Summary of J_all by stage, in order of depth."""
        return {row.stage: row for row in self.run.summary()}

    @property
    def facts(self) -> list[tuple[str, float, float, str, str]]:
        """What else is known of it: label, value, spread (NaN without), its kind, and unit."""
        told = []
        for fact in self.run.settings.get("facts") or []:
            spread = float("nan") if fact.get("spread") is None else float(fact["spread"])
            kind, unit = (str(fact.get(key) or "") for key in ("spread_kind", "unit"))
            told.append((str(fact["label"]), float(fact["value"]), spread, kind, unit))
        return told

    @cached_property
    def own(self) -> dict[str, StageSummary]:
        """Summary of the layers' own Jacobians by stage; empty if none was measured."""
        rows = {row.stage: row for row in self.run.summary(None)}
        return rows if any(row.source != self.run.source for row in rows.values()) else {}


@dataclass(frozen=True)
class Reading:
    """The networks of a page, the last one being its subject, and what they share."""

    networks: tuple[Network, ...]
    comparison: Comparison | None

    @property
    def subject(self) -> str:
        """What two networks named ``subject/network`` have in common, or nothing."""
        heads = {net.run.subject.rpartition("/")[0] for net in self.networks}
        return heads.pop() if len(heads) == 1 and len(self.networks) > 1 else ""

    @property
    def main(self) -> Network:
        """The network that the verdict is about."""
        return self.networks[-1]

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """Stages on the way to the output with a spectrum from the input in every network."""
        return tuple(s for s in self._shared if s in self.main.run.path) or self._shared

    @cached_property
    def aside(self) -> tuple[str, ...]:
        """Stages not on the way to the output that is read; figures of depth leave them out."""
        return tuple(s for s in self._shared if s not in self.stages)

    @cached_property
    def _shared(self) -> tuple[str, ...]:
        shared = set.intersection(*(set(net.rows) for net in self.networks))
        return tuple(name for name in self.main.rows if name in shared)

    @cached_property
    def solid(self) -> tuple[str, ...]:
        """Stages where every spectrum of every network has converged."""
        return tuple(s for s in self.stages if all(converged(n.rows[s]) for n in self.networks))

    @property
    def n(self) -> int:
        """Number of inputs."""
        return max(self.main.rows[s].largest.n for s in self.stages)

    @property
    def size(self) -> int:
        """Number of components of one input."""
        return self.main.rows[self.stages[0]].shape[1]

    @property
    def noun(self) -> str:
        """What one input is called: as the run says, else by what it holds."""
        found = "sequence" if self.origin == "embedding" else "input"
        if self.main.run.settings.get("picture"):
            found = "picture"
        return str(self.main.run.settings.get("input_noun") or found)

    @property
    def key(self) -> tuple[str, str] | None:
        """Names of two networks, for a legend."""
        if len(self.networks) == 1:
            return None
        old, new = (label(net, 40) for net in self.networks)
        return old, new

    @property
    def origin(self) -> str:
        """Where J_all starts, in a word: ``input``, or ``embedding`` where inputs are tokens."""
        return "input" if self.main.run.source == "input" else "embedding"

    def inputs(self) -> str:
        """``16 digits``, ``1 input``; ``2 to 3 of 4 digits`` where spectra are still missing."""
        found = [net.rows[s].largest.n for net in self.networks for s in self.stages]
        least, most, total = min(found), max(found), self.main.run.n_inputs
        some = f"{least:,} to {most:,}" if least < most else f"{most:,}"
        of = f" of {total:,}" if least < total else ""
        return f"{some}{of} {self.noun}{'' if max(most, total) == 1 else 's'}"

    @property
    def known(self) -> dict[str, Any]:
        """What every sentence of the page may ask for."""
        return {"noun": self.noun, "origin": self.origin, "inputs": self.inputs(), "n": self.n}

    def say(self, case: str, **data: Any) -> Sentence:
        """A sentence of the page; what the page calls its inputs is filled in everywhere."""
        return say(case, **{**self.known, **data})

    def section(
        self, name: str, heading: str, text: str, figures: list[Figure], **more: Any
    ) -> Section:
        """A section of the page; ``more`` as for ``page._sections.section``."""
        return section(say, name, heading, text, figures, **{**self.known, **more})

    @property
    def whose(self) -> str:
        """``, name`` of the main network where there are two."""
        return f", {label(self.main, 40)}" if len(self.networks) > 1 else ""

    def name_of(self, index: int) -> str:
        """The name of one input."""
        names = self.main.run.settings.get("input_names") or []
        return str(names[index]) if index < len(names) else f"{self.noun} {index + 1}"

    def trend(
        self,
        of: Callable[[Spectrum], float],
        stages: tuple[str, ...],
        left_open: Callable[[Spectrum], float] = lambda s: 0.0,
    ) -> list[PairedChange]:
        """Changes from each stage to the next in the main network, paired by input.

        ``left_open`` is how far a value may lie off beside the chance between inputs.
        """
        run, out = self.main.run, []
        for a, b in pairwise(stages):
            x, y = ({s.input: s for s in run.at(stage)} for stage in (a, b))
            both = [(x[i], y[i]) for i in sorted(x.keys() & y.keys())]
            if both:
                before, after = ([of(pair[side]) for pair in both] for side in (0, 1))
                doubt = [left_open(s) + left_open(t) for s, t in both]
                out.append(paired_change(b, "trend", before, after, left_open=doubt))
        return out

    def count_trend(self, stages: tuple[str, ...]) -> list[PairedChange]:
        """``trend`` of the number of values above 1."""

        def left_open(s: Spectrum) -> float:  # of one input the chance of the probes too
            low, high = s.count_interval
            return s.count_open if self.n > 1 else (high - low) / 2

        bounds = any(self.main.rows[stage].count.lower_bound for stage in stages)
        doubt = (lambda s: 0.0) if bounds else left_open
        return self.trend(lambda s: float(s.count_above_one), stages, doubt)

    def rank_trend(self, stages: tuple[str, ...]) -> list[PairedChange]:
        """``trend`` of the effective rank."""

        def left_open(s: Spectrum) -> float:
            low, high = s.effective_rank_interval
            return (high - low) / 2 if self.n == 1 and not s.rank_is_lower_bound else 0.0

        return self.trend(lambda s: s.effective_rank, stages, left_open)


def label(net: Network, limit: int = 24) -> str:
    """A network's name, shortened."""
    return short(net.label, limit)


def converged(row: StageSummary) -> bool:
    """Whether every spectrum of a stage converged."""
    return row.n_converged == row.largest.n


def read(what: Xray | Comparison, about: Mapping[str, Any] | None = None) -> Reading:
    """Put a result in order; refuse what cannot be told.

    Args:
        what: One network, or two.
        about: Nothing is taken from it: a run knows its own settings.

    Raises:
        UsageError: No spectrum from the input, or a number that is not finite.
    """
    comparison = what if isinstance(what, Comparison) else None
    runs = (what.before, what.after) if isinstance(what, Comparison) else (what,)
    for run in runs:
        _check(run)
    networks = tuple(Network(n, r) for n, r in zip(_labels(runs, comparison), runs, strict=True))
    reading = Reading(networks, comparison)
    if not reading.stages:
        raise wrong(
            "what", "hold a stage measured from the input", "none", "finish the x-ray first"
        )
    return reading


def _labels(runs: tuple[Xray, ...], comparison: Comparison | None) -> tuple[str, ...]:
    found = [
        [r.subject for r in runs],
        [str((r.settings.get("model") or {}).get("name", r.subject)) for r in runs],
        [r.folder.name if r.folder else "" for r in runs],
    ]
    found.insert(0, _without_shared_folder(found[0]))
    fitting = (tuple(names) for names in found if len(set(names)) == len(runs) and all(names))
    return next(fitting, ("before", "after") if comparison is None else comparison.names)


def _without_shared_folder(names: list[str]) -> list[str]:
    """``a/before`` and ``a/after`` are told apart by what follows the slash."""
    heads = {name.rpartition("/")[0] for name in names}
    return (
        [name.rpartition("/")[2] for name in names] if len(names) > 1 and len(heads) == 1 else names
    )


def _check(run: Xray) -> None:
    if not any(s.source == run.source for s in run.spectra):
        raise wrong(
            "what", "hold a spectrum from the input", f"{len(run.spectra)} spectra",
            "finish the x-ray first",
        )  # fmt: skip
    _finite("inputs", run.inputs, "the run")
    for s in run.spectra:
        for field in ("values", "residuals", "right"):
            _finite(field, getattr(s, field), f"{s.stage}, input {s.input}")


def _finite(field: str, array: np.ndarray, where: str) -> None:
    bad = array[~np.isfinite(array)] if array.dtype.kind == "f" else array[:0]
    if bad.size:
        got = "NaN" if math.isnan(float(bad.flat[0])) else "an infinite number"
        raise UsageError(
            f"{field} of {where} must be finite, got {got}; measure this piece again before "
            "writing a report."
        )
