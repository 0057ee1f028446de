"""The spoken digits of ``$NAKAMI_DATA`` as frames with the states that were aligned to them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nakami import data, speech
from nakami.data._recordings import joined

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PAUSE, FAINT = 0.1, 1e-3  # seconds of noise put before and behind, and its deviation
SHIFT = 19  # frames by which the alignments begin earlier: 0.2 s less half of what windows differ
LEAST = 10  # recordings in which a pronunciation must stand


@dataclass(frozen=True)
class SpokenDigits:
    """Frames of the recordings, and what the alignments say of them.

    Attributes:
        features: ``(N, T, 39)``. counts: frames of each, ``(N,)``.
        labels: ``(N,)``. speakers: ``(N,)`` int64. names: of the speakers.
        states: ``(N, T)`` int64, aligned senones as 0, 1, ...; -1 where there are none.
        takes: ``(N,)`` int64: the how manieth recording of its word and speaker, 0 to 49.
        lexicon: The ten words in order, as senones.
    """

    features: Tensor
    counts: Tensor
    labels: Tensor
    speakers: Tensor
    names: tuple[str, ...]
    states: Tensor
    takes: Tensor
    lexicon: speech.Lexicon


def spoken_digits(folder: Path) -> SpokenDigits:
    """All 3,000 recordings of ``spoken-digits``."""
    found = with_pauses(data.read_recordings(folder / "fsdd.npz"))
    features, counts = speech.cepstra(found)
    with np.load(folder / "fsdd.npz") as arrays:
        takes = torch.as_tensor(arrays["takes"].astype(np.int64))
    with np.load(folder / "fsdd_alignments.npz") as arrays:
        segments, phones = arrays["segments"], arrays["phones"].tolist()
    rows = dict[int, list[np.ndarray]]()
    for row in segments:
        rows.setdefault(int(row[0]), []).append(row)
    silent = phones.index("SIL")
    rows = {i: own for i, own in rows.items() if any(row[1] != silent for row in own)}
    number = {s: i for i, s in enumerate(sorted({int(s) for row in segments for s in row[4:7]}))}
    states = torch.full(features.shape[:2], -1)
    spoken = Counter[tuple[int, tuple[int, ...]]]()
    for i, own in rows.items():
        every = np.concatenate([np.repeat(row[4:7], row[7:10]) for row in own])
        numbers = torch.tensor([number[int(s)] for s in every])[SHIFT:]
        n = min(int(counts[i]), len(numbers))
        states[i, :n] = numbers[:n]
        chain = tuple(number[int(s)] for row in own if row[1] != silent for s in row[4:7])
        spoken[int(found.labels[i]), chain] += 1
    pairs = sorted(pair for pair, n in spoken.items() if n >= LEAST)
    silence = tuple(number[int(s)] for s in segments[segments[:, 1] == silent][0, 4:7])
    names = tuple(dict.fromkeys(found.speakers))
    return SpokenDigits(
        features,
        counts,
        found.labels,
        torch.tensor([names.index(s) for s in found.speakers]),
        names,
        states,
        takes,
        speech.Lexicon(
            tuple(WORDS[word] for word, _ in pairs), tuple(chain for _, chain in pairs), silence
        ),
    )


def with_pauses(recordings: data.Recordings) -> data.Recordings:
    """Faint noise before and behind each recording, as the alignments were made with more of it."""
    source = torch.Generator().manual_seed(0)
    n = round(PAUSE * recordings.rate)
    signals = []
    for i in range(len(recordings)):
        noise = FAINT * torch.randn(2, n, generator=source)
        signals.append(torch.cat([noise[0], recordings.signal(i), noise[1]]))
    audio, offsets = joined(signals)
    return replace(recordings, audio=audio, offsets=offsets)
