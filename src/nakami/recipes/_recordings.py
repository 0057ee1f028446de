"""Recordings of words as a recipe takes them: cepstra of each, to train and to test on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from nakami.data import Examples, Recordings, read_recordings, spoken_words
from nakami.results import named_as, wrong
from nakami.speech import cepstra, windows

from ._examples import DataFiles, tenth

FEATURES, FRAMES, SPEAKER = "features", "frames", "speaker"
UNIT = "standard deviation of a cepstrum or a slope over its speaker"
CONTEXT = 5  # frames before and behind
MADE, NOISE = ((600, 6), (200, 4)), 0.08  # recordings and speakers, to train and to test


def recordings_from(files: DataFiles | None) -> tuple[Examples, Examples]:
    """Recordings to train and to test on: made ones by other speakers, or the caller's.

    Without a part to test on the last speaker by name is left out of training; where speakers are
    not known, a random tenth.

    Raises:
        UsageError: What ``read_recordings`` refuses, options of pictures, two sampling rates.
        RunError: kaldi-native-fbank is not installed.
    """
    if files is None:
        return _made()
    for name, value in files.reading.items():
        if value is not None:
            raise wrong(name, "be left out with recordings", value, f"leave {{{name}}} out")
    with named_as("path", "data"):
        found = read_recordings(files.path)
    if files.test is None:
        return _parted(found)
    with named_as("path", "test"):
        test = read_recordings(files.test, classes=found.classes)
    if test.rate != found.rate:
        rule = f"have the sampling rate of the recordings to train on, {found.rate} Hz"
        raise wrong("test", rule, test.rate, "resample them")
    return frames_of(found), frames_of(test)


@cache
def _made() -> tuple[Examples, Examples]:
    """Made words by made speakers, other ones to test on."""
    parts = (spoken_words(n, who, noise=NOISE, seed=i) for i, (n, who) in enumerate(MADE))
    train, test = map(frames_of, parts)
    return train, test


def _parted(found: Recordings) -> tuple[Examples, Examples]:
    """All but those of the last speaker, and these; or all but a random tenth.

    Each part is normalised by itself.
    """
    speakers = sorted({*found.speakers} - {""})
    if len(speakers) < 2:
        held, said = tenth(len(found)), ("without a random tenth", "a random tenth")
    else:
        last = speakers[-1]
        held = torch.tensor([speaker == last for speaker in found.speakers])
        said = f"without those of {last}", f"those of {last}"
    return _told(frames_of(found[~held]), said[0]), _told(frames_of(found[held]), said[1])


def _told(examples: Examples, more: str) -> Examples:
    return replace(examples, source=f"{examples.source}, {more}")


def frames_of(recordings: Recordings) -> Examples:
    """One example for each recording.

    ``features`` ``(N, T, 39)``, ``frames`` ``(N,)``, and ``speaker`` ``(N,)``: 0, 1, ... in the
    order in which they come, -1 where it is not known.
    """
    features, counts = cepstra(recordings)
    names = [name for name in dict.fromkeys(recordings.speakers) if name]
    speakers = [names.index(name) if name else -1 for name in recordings.speakers]
    return Examples(
        {FEATURES: features, FRAMES: counts, SPEAKER: torch.tensor(speakers)},
        recordings.labels,
        recordings.names,
        UNIT,
        recordings.source,
        noun="recording",
        classes=recordings.classes,
    )


def parts_of(examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
    """Features, numbers of frames, and words of recordings."""
    assert examples.labels is not None  # as check_labels has seen
    return examples.inputs[FEATURES], examples.inputs[FRAMES], examples.labels


def windows_of(examples: Examples) -> Examples:
    """The window in the middle of each recording, ``(N, 11, 39)``."""
    features, counts, _ = parts_of(examples)
    starts = counts.cumsum(0) - counts
    found = windows(features, counts, CONTEXT)[starts + counts // 2]
    names = tuple(f"{name}, its middle" for name in examples.names)
    return replace(examples, inputs=found, names=names, noun="window")
