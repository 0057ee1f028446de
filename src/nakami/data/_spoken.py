"""Words spoken by made speakers: voiced tones through moving formants, between hisses."""

from __future__ import annotations

import torch
from torch import Tensor

from nakami.results import check_at_least, check_seed, counted

from ._recordings import Recordings, joined

RATE, HARMONICS = 8000, 28
VOWELS = {  # first and second formant, Hz, about those of English
    "a": (750.0, 1250.0),
    "e": (530.0, 1850.0),
    "i": (300.0, 2250.0),
    "o": (480.0, 900.0),
    "u": (320.0, 850.0),
}
WORDS = ("ai", "ia", "eo", "oe", "ua", "au", "sai", "sei", "aus", "ius")  # s is a hiss
WIDTHS = (90.0, 140.0)  # of the formants, Hz
SECONDS = 0.14  # of a sound, at the middle tempo


def spoken_words(n: int, speakers: int = 5, *, noise: float = 0.02, seed: int = 0) -> Recordings:
    """Ten made words in turns, by made speakers in turns of ten, 8,000 samples a second.

    A word is two vowels, some with a hiss before or behind. Formants glide from vowel to vowel; a
    speaker has a pitch, a length of the vocal tract that scales all formants, and a tempo; each
    recording departs from them a little, and has noise and a pause at both ends.

    Args:
        n: Recordings.
        speakers: How many.
        noise: Standard deviation of the noise; a voice has about 0.1.
        seed: Decides all of it; torch's global generator is not touched.

    Cost: about 1 ms of a core for each recording.
    """
    n = check_at_least("n", n, 1, "pass n=100")
    speakers = check_at_least("speakers", speakers, 1, "pass 5")
    g = torch.Generator().manual_seed(check_seed(seed))
    pitch = 90 + 130 * torch.rand(speakers, generator=g)
    tract = 0.85 + 0.3 * torch.rand(speakers, generator=g)
    tempo = 0.8 + 0.4 * torch.rand(speakers, generator=g)
    who = [i // len(WORDS) % speakers for i in range(n)]
    labels = torch.arange(n) % len(WORDS)
    signals = []
    for speaker, label in zip(who, labels.tolist(), strict=True):
        away = 1 + 0.06 * torch.randn(3, generator=g)
        voice = torch.stack([pitch[speaker], tract[speaker], tempo[speaker]]) * away
        spoken = _word(WORDS[label], voice, g)
        signals.append(spoken + noise * torch.randn(len(spoken), generator=g))
    return Recordings(
        *joined(signals),
        RATE,
        labels,
        WORDS,
        tuple(f"speaker {seed}.{speaker}" for speaker in who),
        tuple(f"recording {i} ({WORDS[w]})" for i, w in enumerate(labels.tolist())),
        f"{counted(n, 'recording')} of {len(WORDS)} made words by "
        f"{counted(min(speakers, -(-n // len(WORDS))), 'made speaker')}, seed {seed}",
    )


def _word(word: str, voice: Tensor, g: torch.Generator) -> Tensor:
    """Samples of a word between two pauses, by a voice's pitch, tract and tempo."""
    pitch, tract, tempo = voice.tolist()
    vowels = [VOWELS[sound] for sound in word if sound in VOWELS]
    parts = [torch.zeros(_samples(0.06 + 0.06 * _one(g)))]
    for sound in ("s" if word[0] == "s" else "", "voice", "s" if word[-1] == "s" else ""):
        if sound == "voice":
            parts.append(_voice(vowels, pitch, tract, _samples(len(vowels) * SECONDS / tempo)))
        elif sound:
            parts.append(_hiss(_samples(0.1 / tempo), g))
    parts.append(torch.zeros(_samples(0.06 + 0.06 * _one(g))))
    return torch.cat(parts) * (0.7 + 0.6 * _one(g))


def _voice(vowels: list[tuple[float, float]], pitch: float, tract: float, samples: int) -> Tensor:
    """Harmonics of a falling pitch, as loud as the formants of the moment let them be."""
    at = torch.linspace(0, 1, samples)
    place = ((at * 2 - 0.5).clamp(0, 1) * (len(vowels) - 1))[:, None]
    ends = torch.tensor(vowels) * tract
    formants = ends[0] + place * (ends[-1] - ends[0])  # (samples, 2)
    f = pitch * (1.1 - 0.2 * at)
    k = torch.arange(1, HARMONICS + 1)
    height = f[:, None] * k  # Hz
    away = (height[:, :, None] - formants[:, None]) / torch.tensor(WIDTHS)
    loud = (1 / (1 + away.square())).sum(2) / k**0.5 * (height < RATE / 2)
    phase = (2 * torch.pi / RATE * f.double()).cumsum(0)[:, None] * k
    return 0.1 * (loud * phase.sin().float()).sum(1) * (torch.pi * at).sin().clamp_min(0).sqrt()


def _hiss(samples: int, g: torch.Generator) -> Tensor:
    """Noise of high frequencies."""
    drawn = torch.randn(samples + 1, generator=g)
    return 0.06 * (drawn[1:] - drawn[:-1])


def _samples(seconds: float) -> int:
    return max(2, round(seconds * RATE))


def _one(g: torch.Generator) -> float:
    return float(torch.rand((), generator=g))
