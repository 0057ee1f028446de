"""Cepstra of recordings with their slopes, normalised by speaker, and windows of frames."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import Recordings
from ..results import RunError, check_at_least, wrong

CEPSTRA, BANDS, SHIFT, LENGTH = 13, 23, 10.0, 25.0  # ms
FULL = 32768.0  # samples are given as 16-bit numbers
MISSING = "features need kaldi-native-fbank, which is not installed; pip install 'nakami[speech]'."


def has_features() -> bool:
    """Whether the package for features is installed."""
    return find_spec("kaldi_native_fbank") is not None


def cepstra(recordings: Recordings) -> tuple[Tensor, Tensor]:
    """Mel-frequency cepstra with first and second slopes, normalised by speaker.

    13 cepstra (0 to 12, of 23 bands up to half the rate) of windows of 25 ms each 10 ms, as Kaldi
    computes them, without dither; slopes by regression over 2 frames at both sides. Of all frames
    of a speaker each component then has mean 0 and variance 1, which asks for no words.

    Returns:
        ``(N, T, 39)`` float32, 0 beyond a recording's end, and the frames of each, ``(N,)`` int64.

    Raises:
        RunError: kaldi-native-fbank is not installed.
    """
    if not has_features():
        raise RunError(MISSING)
    parts = [_of(recordings.signal(i).numpy(), recordings.rate) for i in range(len(recordings))]
    counts = torch.tensor([len(part) for part in parts])
    padded = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
    return normalised(padded, counts, recordings.speakers), counts


def _of(signal: np.ndarray, rate: int) -> Tensor:
    """Cepstra with their slopes, ``(T, 39)``."""
    import kaldi_native_fbank as knf

    options: Any = knf.MfccOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = False  # as many frames as shifts, however short
    options.frame_opts.frame_shift_ms, options.frame_opts.frame_length_ms = SHIFT, LENGTH
    options.mel_opts.num_bins, options.num_ceps, options.use_energy = BANDS, CEPSTRA, False
    least = int(rate * LENGTH / 1000) + 1
    signal = np.pad(signal, (0, max(0, least - len(signal))), mode="edge")
    computer = knf.OnlineMfcc(options)
    computer.accept_waveform(rate, FULL * signal)
    computer.input_finished()
    frames = np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])
    slopes: Any = knf.DeltaOptions()
    slopes.order, slopes.window = 2, 2
    return torch.tensor(np.asarray(knf.compute_deltas(slopes, frames)))


def normalised(features: Tensor, counts: Tensor, speakers: Sequence[str]) -> Tensor:
    """Features whose components have mean 0 and variance 1 over all frames of a speaker.

    Args:
        features: ``(N, T, D)``.
        counts: Frames of each recording, ``(N,)``.
        speakers: Of each recording; those of one name are taken together.
    """
    if len(speakers) != len(features):
        rule = f"name one for each of the {len(features)} recordings"
        raise wrong("speakers", rule, len(speakers), "pass recordings.speakers")
    inside, found = within(counts, features.shape[1]), torch.zeros_like(features)
    for speaker in dict.fromkeys(speakers):
        own = torch.tensor([each == speaker for each in speakers])
        frames = features[own][inside[own]].double()
        scale = frames.std(0, correction=0).clamp_min(1e-6)
        shifted = (features[own] - frames.mean(0)) / scale
        found[own] = (shifted * inside[own][..., None]).to(features.dtype)
    return found


def within(counts: Tensor, length: int) -> Tensor:
    """Which frames of padded recordings are there, ``(N, length)`` bool."""
    return torch.arange(length, device=counts.device) < counts[:, None]


def windows(features: Tensor, counts: Tensor, context: int = 5) -> Tensor:
    """Each frame with those around it, recording by recording, ``(frames, 2 context + 1, D)``.

    Beyond the ends of a recording its first and its last frame stand again.

    Args:
        features: ``(N, T, D)``.
        counts: Frames of each recording, ``(N,)``.
        context: Frames before and behind, 0 or more.
    """
    context = check_at_least("context", context, 0, "pass 5 for windows of 11 frames")
    n, length = features.shape[:2]
    at = torch.arange(length, device=counts.device)[:, None]
    at = at + torch.arange(-context, context + 1, device=counts.device)
    at = at.expand(n, -1, -1).clamp_min(0).minimum(counts[:, None, None] - 1)
    recording, frame = within(counts, length).nonzero(as_tuple=True)
    return features[recording[:, None], at[recording, frame]]


def padded(rows: Tensor, counts: Tensor) -> Tensor:
    """Frames one after the other, ``(frames, ...)``, as recordings ``(N, T, ...)``, 0 beyond."""
    found = rows.new_zeros(len(counts), int(counts.max()), *rows.shape[1:])
    found[within(counts, found.shape[1])] = rows
    return found
