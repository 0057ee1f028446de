"""Recordings of words: a folder of WAV files for each word, or arrays of an ``.npz``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile
from torch import Tensor

from nakami.results import as_path, check_at_least, counted, first_names, wrong

from ._arrays import reading

NEEDED = ("audio", "offsets", "labels")
TAKEN = (
    "give a folder with a folder of WAV files for each word, or an .npz with the arrays audio, "
    "offsets and labels"
)
SHORTEST = 2  # samples


@dataclass(frozen=True)
class Recordings:
    """Recordings of one word each, read-only by agreement.

    Attributes:
        audio: ``(samples,)`` float32 in -1..1, one recording after the other.
        offsets: ``(N + 1,)`` int64: recording i is ``audio[offsets[i]:offsets[i + 1]]``.
        rate: Samples per second.
        labels: ``(N,)`` int64, the word. classes: the words 0, 1, ....
        speakers: Who spoke each; ``""`` where it is not known.
        names: One for each recording. source: one sentence: what this is.
    """

    audio: Tensor
    offsets: Tensor
    rate: int
    labels: Tensor
    classes: tuple[str, ...]
    speakers: tuple[str, ...]
    names: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.names)

    def signal(self, i: int) -> Tensor:
        """Samples of one recording."""
        return self.audio[self.offsets[i] : self.offsets[i + 1]]

    def __getitem__(self, part: Sequence[int] | Tensor) -> Recordings:
        """The recordings of indices, or of a mask."""
        rows = torch.as_tensor(part)
        rows = rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows
        picked = rows.tolist()
        audio, offsets = joined([self.signal(i) for i in picked])
        return replace(
            self,
            audio=audio,
            offsets=offsets,
            labels=self.labels[rows],
            speakers=tuple(self.speakers[i] for i in picked),
            names=tuple(self.names[i] for i in picked),
        )


def joined(signals: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """``audio`` and ``offsets`` of signals."""
    ends = torch.tensor([0, *(len(signal) for signal in signals)]).cumsum(0)
    return torch.cat([torch.zeros(0), *signals]), ends


def read_recordings(
    path: str | PathLike[str], *, classes: tuple[str, ...] = (), rate: int = 8000
) -> Recordings:
    """Recordings of words, channels averaged, samples in -1..1.

    * A folder with a folder for each word, in it WAV files. What stands before the first ``_`` of a
      file's name is the speaker (``seven/george_3.wav``), after the word if the name begins with it
      (``seven/seven_george_3.wav``).
    * An ``.npz``: ``audio`` (samples of all, one after the other), ``offsets`` (N + 1), ``labels``
      (N, from 0); if it has them ``speakers`` (N), ``classes`` (the words) and ``rate``.

    Args:
        path: Folder or file.
        classes: The words 0, 1, ..., as those of other recordings; None given: those that are
            there, by name.
        rate: Samples per second of an ``.npz`` without the array ``rate``.

    Raises:
        UsageError: Nothing of that kind, files of several rates, words that ``classes`` lacks.
    """
    path = as_path("path", path, TAKEN)
    if path.is_dir():
        return _folder(path, classes)
    if path.suffix == ".npz" and path.is_file():
        return _arrays(path, classes, rate)
    raise wrong("path", "hold recordings", path, TAKEN)


def _folder(path: Path, classes: tuple[str, ...]) -> Recordings:
    found = sorted(f for f in path.rglob("*") if f.suffix.lower() == ".wav" and f.is_file())
    files = [f for f in found if f.parent != path and f.name[0] != "."]
    if not files:
        raise wrong("path", "hold WAV files in a folder for each word", path, TAKEN)
    words = [file.relative_to(path).parts[-2] for file in files]
    known = _known(sorted(set(words)), classes)
    read = [_wav(file) for file in files]
    rates = sorted({rate for rate, _ in read})
    if len(rates) > 1:
        rule = "hold recordings of one sampling rate"
        raise wrong("path", rule, f"{rates[0]} to {rates[-1]} Hz", "resample them to one rate")
    speakers = tuple(_speaker(file.stem, word) for file, word in zip(files, words, strict=True))
    return Recordings(
        *joined([signal for _, signal in read]),
        rates[0],
        torch.tensor([known.index(word) for word in words]),
        known,
        speakers,
        tuple(str(file.relative_to(path)) for file in files),
        _said(len(files), known, speakers, path.resolve().name),
    )


def _wav(file: Path) -> tuple[int, Tensor]:
    """Rate and samples in -1..1."""
    try:
        with warnings.catch_warnings():  # of chunks beside the samples
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(file)
    except (ValueError, OSError, EOFError) as error:
        raise wrong("path", "hold WAV files", f"{file.name}: {error}", "convert it") from error
    signal = _in_units(samples)
    signal = signal.mean(1) if signal.ndim == 2 else signal
    _check_signals([signal], file.name)
    return int(rate), signal


def _in_units(samples: np.ndarray) -> Tensor:
    """Samples in -1..1: of bytes 128 is 0, as in WAV files."""
    if samples.dtype == np.uint8:
        samples = samples.astype(np.float32) / 128 - 1
    elif samples.dtype.kind == "i":
        samples = samples / float(2 ** (8 * samples.dtype.itemsize - 1))
    return torch.as_tensor(samples, dtype=torch.float32)


def _arrays(path: Path, classes: tuple[str, ...], rate: int) -> Recordings:
    with reading(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        held = {name: arrays[name] for name in arrays}
    if not {*NEEDED} <= {*held}:
        got = f"arrays {', '.join(held) or 'none'}"
        raise wrong(f"{path}", f"hold the arrays {', '.join(NEEDED)}", got, TAKEN)
    audio, offsets, labels = (held[name] for name in NEEDED)
    n = len(labels)
    ends = torch.as_tensor(np.asarray(offsets, dtype=np.int64))
    if not n or len(ends) != n + 1 or int(ends[0]) != 0 or int(ends[-1]) != len(audio):
        rule = f"hold offsets from 0 to the {len(audio)} samples, one more than its {n} labels"
        raise wrong(f"{path}", rule, f"{len(ends)} from {ends[:1].tolist()}", TAKEN)
    signal = _in_units(audio)
    _check_signals([signal[a:b] for a, b in pairwise(ends.tolist())], path.name)
    labels = torch.as_tensor(np.asarray(labels, dtype=np.int64))
    names = _words(path, labels, held.get("classes"))
    known = _known(list(names), classes)
    speakers = tuple(map(str, held.get("speakers", np.full(n, "")).tolist()))
    if len(speakers) != n:
        rule = f"name a speaker for each of its {n} recordings, or none"
        raise wrong(f"{path}", rule, len(speakers), "leave the array speakers out")
    rate = check_at_least("rate", int(held.get("rate", rate)), 1, "pass samples per second")
    return Recordings(
        signal,
        ends,
        rate,
        torch.tensor([known.index(name) for name in names])[labels],
        known,
        speakers,
        tuple(f"recording {i}" for i in range(n)),
        _said(n, known, speakers, path.name),
    )


def _words(path: Path, labels: Tensor, names: np.ndarray | None) -> tuple[str, ...]:
    """Names of the words that labels number."""
    low, high = int(labels.min()), int(labels.max())
    most = high if names is None else len(names) - 1
    if low < 0 or high > most:
        rule = f"have labels from 0 to {most}" if names is not None else "have labels from 0 on"
        raise wrong(f"{path}", rule, f"{low} to {high}", "number the words from 0 on")
    return tuple(map(str, range(high + 1) if names is None else names.tolist()))


def _check_signals(signals: Sequence[Tensor], where: str) -> None:
    for i, signal in enumerate(signals):
        if len(signal) < SHORTEST or not bool(signal.isfinite().all()):
            rule = f"hold recordings of {SHORTEST} finite samples or more"
            raise wrong("path", rule, f"recording {i} of {where}", "leave it out")


def _known(words: list[str], classes: tuple[str, ...]) -> tuple[str, ...]:
    """The words by number."""
    others = [word for word in words if classes and word not in classes]
    if others:
        rule = f"hold recordings of the words to train on, {first_names(classes)}"
        raise wrong("path", rule, first_names(others), "leave out those of other words")
    return classes or tuple(words)


def _speaker(stem: str, word: str) -> str:
    rest = stem.removeprefix(f"{word}_")
    return rest.split("_")[0] if "_" in rest else ""


def _said(n: int, words: Sequence[str], speakers: Sequence[str], where: str) -> str:
    who = counted(len({*speakers} - {""}), "speaker")
    return f"{counted(n, 'recording')} of {where}, {counted(len(words), 'word')}, {who}"
