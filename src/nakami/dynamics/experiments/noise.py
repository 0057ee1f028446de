"""Noise on the inputs: which decisions it changes, and what becomes of the spectra."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from ...operators import Example, Jacobian, View
from ...results import (
    Noise,
    Progress,
    Spectrum,
    Xray,
    check_at_least,
    check_count,
    check_seed,
    is_number,
    told,
    unknown,
    wrong,
)
from ...spectra import svd, without_autocast
from .._experiment import Arrays, Bench, ExperimentEntry, bench, conducted
from .._inputs import as_array

LEVELS: dict[str, tuple[float, ...]] = {
    "gaussian": (0.1, 0.3, 1.0),
    "salt-and-pepper": (0.03, 0.1, 0.3),
    "uniform": (0.03, 0.1, 0.3),
}
KINDS = ("gaussian", "gaussian-absolute", "salt-and-pepper", "uniform")
SHARES = ("salt-and-pepper", "uniform")
TOP = 25  # values of each spectrum


@told
@without_autocast
def noise(
    model: nn.Module | View,
    inputs: Any,
    run: Xray,
    levels: Mapping[str, Sequence[float]] = LEVELS,
    *,
    labels: Any = None,
    stages: Sequence[str] | None = None,
    k: int | None = None,
    repeats: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Noise:
    """Decisions and singular values of ``J_all`` at the inputs of an x-ray with noise added.

    Does the spectrum of the late stages shrink as noise grows, as the source observes? The values
    at the noisy inputs are paired with those that the x-ray found at the clean ones. Each number of
    the input is hit by itself; nothing is cut to the range of pixels. Kinds:

    * ``"gaussian"``: normal noise, its sd in units of the sd of the numbers of that input;
    * ``"gaussian-absolute"``: normal noise, its sd in the unit of the input;
    * ``"salt-and-pepper"``: this share of the numbers is set to the smallest or the largest value;
    * ``"uniform"``: this share of the numbers is replaced by uniform noise between these two. So we
      read the source's "rate" of noise, which it does not define.

    The smallest and the largest value are those of all inputs of the x-ray, by channel where the
    inputs are pictures ``(N, C, H, W)``. Of inputs of several parts the floating ones get noise,
    each by its own sd and range; of tokens their embeddings.

    Args:
        model: The model that the x-ray read, or its ``View``; left as it was.
        inputs: The inputs of the x-ray.
        run: The x-ray; in a folder, a piece for each input is kept there.
        levels: Levels of each kind: sds above 0, or shares from above 0 to 1.
        labels: The class of each input, for the accuracy; default those that the run holds, if it
            does and they fit the output. Agreement with the clean decision needs none.
        stages: Where spectra are read; default the first and the last stage of the run.
        k: Largest values of each; default those of the run, 25 at most.
        repeats: Draws for each input, kind and level.
        seed: Each draw has its own seed, from (seed, input, kind, level, repeat).
        progress: ``progress(done, total, seconds_left, what)``, called after each input.

    Returns:
        A ``Noise``: agreement and accuracy by level; paired changes of the mean of the values, the
        largest and the mean logarithm, with standard errors over the inputs.

    Raises:
        UsageError: Another model or other inputs than the x-ray's, a setting out of range.

    Warns:
        NotConvergedWarning: Once, with the number of spectra that did not converge.

    Cost: for each input ``C x repeats x stages`` spectra of ``k`` values, C kinds and levels.
    Source: Mototake & Ikegami, JSAI 2015, figure 5.
    """
    table = bench(model, inputs, run)
    conditions = _conditions(levels)
    names = table.stages((run.path[0], run.path[-1]) if stages is None else stages)
    settings = {
        "conditions": [[kind, level] for kind, level in conditions],
        "stages": names,
        "k": _values(run, names, k),
        "repeats": check_at_least("repeats", repeats, 1, "1 is the default"),
        "seed": check_seed(seed),
        "labels": _labels(table, labels),
        "decides": table.entries > 0,
    }
    clean = {(s.stage, s.input): s for name in names for s in run.at(name)}
    ranges = _ranges(table)

    def measure(i: int, x: Example) -> Arrays:
        own = [clean[name, i] for name in names]
        return _at_one_input(table, x, own, ranges, i, settings)

    return conducted(Noise, table, settings, measure, progress, ["lower {k}"])


def _conditions(levels: Mapping[str, Sequence[float]]) -> list[tuple[str, float]]:
    if not isinstance(levels, Mapping) or not levels:
        way_out = "write levels={'gaussian': [0.1, 1]}"
        raise wrong("levels", "be a mapping from kinds to levels", repr(levels), way_out)
    found = []
    for kind, asked in levels.items():
        if kind not in KINDS:
            raise unknown("kind", str(kind), KINDS)
        most, rule = (1.0, "up to 1") if kind in SHARES else (np.inf, "that are finite")
        each = list(asked) if isinstance(asked, Sequence) else [asked]
        good = all(is_number(one) and 0 < one <= most and one < np.inf for one in each)
        if not each or not good or sorted(set(each)) != each:
            rule = f"hold numbers above 0 {rule}, rising, for {kind!r}"
            raise wrong("levels", rule, repr(asked), "leave it out")
        found += [(kind, float(one)) for one in each]
    return found


def _values(run: Xray, names: Sequence[str], k: int | None) -> int:
    most = max(run.values(name).shape[1] for name in names)
    way_out = "leave it out, or make an x-ray of more values"
    return min(most, TOP) if k is None else check_count("k", k, most, "those of the run", way_out)


def _labels(table: Bench, labels: Any) -> list[int] | None:
    found = table.classes(labels)
    if found is not None and all(0 <= one < table.entries for one in found):
        return found
    if labels is not None:
        rule = f"be entries of the network's output, which has {table.entries} to decide between"
        raise wrong("labels", rule, repr(labels), "leave it out")
    return None


def _ranges(table: Bench) -> list[tuple[Tensor, Tensor]]:
    """Smallest and largest value of each floating part over all inputs, by channel of pictures."""
    rows = (table.parts(table.inputs.at(i)) for i in range(len(table.inputs)))
    found = []
    for parts in zip(*rows, strict=True):  # (1, ...) each, texts with lengths of their own
        axes = [a for a in range(parts[0].ndim) if a != 1 or parts[0].ndim != 4]
        low = torch.stack([part.amin(axes, keepdim=True) for part in parts]).amin(0)
        high = torch.stack([part.amax(axes, keepdim=True) for part in parts]).amax(0)
        found.append((low, high))
    return found


def _noisy(
    part: Tensor,
    kind: str,
    level: float,
    ends: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> Tensor:
    """A tensor of the input with noise, the same in every arithmetic and on every device."""

    def drawn(by: Callable[..., Tensor]) -> Tensor:
        return by(part.shape, generator=generator, dtype=torch.float64).to(part)

    if kind == "gaussian":
        return part + level * _sd(part) * drawn(torch.randn)
    if kind == "gaussian-absolute":
        return part + level * drawn(torch.randn)
    hit, where = drawn(torch.rand) < level, drawn(torch.rand)
    low, high = ends
    if kind == "salt-and-pepper":
        where = (where < 0.5).to(part)
    return torch.where(hit, low + where * (high - low), part)


def _sd(part: Tensor) -> Tensor:
    return part.std(correction=min(1, part.numel() - 1))


def _seed(seed: int, i: int, kind: str, level: float, repeat: int) -> int:
    bits = int(np.float64(level).view(np.uint64))
    sequence = np.random.SeedSequence([seed, i, crc32(kind.encode()), bits, repeat])
    return int(sequence.generate_state(1)[0])


def _at_one_input(
    table: Bench,
    x: Example,
    clean: Sequence[Spectrum],
    ranges: Sequence[tuple[Tensor, Tensor]],
    i: int,
    settings: dict[str, Any],
) -> Arrays:
    k, parts = settings["k"], table.parts(x)
    start = torch.cat([part.reshape(-1) for part in parts])
    unit = float(_sd(start)) * len(start) ** 0.5
    if not unit > 0:
        rule, got = "have numbers with an sd above 0", f"input {i}, constant"
        raise wrong("inputs", rule, got, "leave that input out of the x-ray")
    rows: list[list[Arrays]] = []
    for kind, level in settings["conditions"]:
        rows.append([])
        for repeat in range(settings["repeats"]):
            seed = _seed(settings["seed"], i, kind, level, repeat)
            generator = torch.Generator().manual_seed(seed)
            noisy = [
                _noisy(part, kind, level, ends, generator).reshape(-1)
                for part, ends in zip(parts, ranges, strict=True)
            ]
            moved = torch.cat(noisy)
            size = float((moved - start).norm()) / unit
            more = {"decision": table.decision(x, moved), "seed": seed, "size": size}
            read = _read(table, x, moved, clean, k, seed)
            rows[-1].append(read | {name: np.array(one) for name, one in more.items()})
    found = {name: np.array([[r[name] for r in row] for row in rows]) for name in rows[0][0]}
    return found | {
        "clean": np.stack([_padded(s.values[:k], k) for s in clean]),
        "clean_floor": np.array([s.floor for s in clean]),
        "decided": np.array(table.decision(x)),
    }


def _read(
    table: Bench, x: Example, moved: Tensor, clean: Sequence[Spectrum], k: int, seed: int
) -> Arrays:
    """The spectra at one noisy input, at the stages and of the length of the clean ones."""
    tol, budget = table.run.settings["tol"], table.run.settings["memory_budget"]
    results = []
    for spectrum in clean:
        ends = spectrum.stage, table.source
        op = Jacobian(table.network, x, table.places, *ends, budget, moved)
        count = min(k, len(spectrum.values))
        results.append(svd(op, count, tol, vectors=False, memory_budget=budget, seed=seed))
    return {
        "values": np.stack([_padded(as_array(r.values), k) for r in results]),
        "floor": np.array([r.floor for r in results]),
        "converged": np.array([r.converged for r in results]),
    }


def _padded(values: np.ndarray, k: int) -> np.ndarray:
    return np.pad(values.astype(np.float64), (0, k - len(values)), constant_values=np.nan)


ENTRY = ExperimentEntry(
    noise, "noise of several kinds and strengths: changed decisions, spectra early and late"
)
