"""Power of sound in bands of the mel scale, by torch alone, so that it can be exported."""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW, SHIFT = 0.025, 0.010  # seconds
LEAST = 1e-10  # power of full scale; below it nothing is told apart


def frames_of(rate: int) -> tuple[int, int, int]:
    """Samples of a window, of a shift, and of a transform."""
    window, shift = max(2, round(rate * WINDOW)), max(1, round(rate * SHIFT))
    return window, shift, 1 << (window - 1).bit_length()


def mel_bands(rate: int, bands: int) -> Tensor:
    """Weights of frequencies in each band, ``(bands, frequencies)`` float32.

    Triangles between equal steps of ``2595 log10(1 + f / 700)`` from 0 to half the rate, 1 at their
    middle.
    """
    size = frames_of(rate)[2]
    hertz = torch.linspace(0, rate / 2, size // 2 + 1, dtype=torch.float64)
    top = 2595 * torch.log10(torch.tensor(1 + rate / 1400, dtype=torch.float64))
    ends = 700 * (10 ** (torch.linspace(0, 1, bands + 2, dtype=torch.float64) * top / 2595) - 1)
    low, middle, high = (ends[i : i + bands, None] for i in range(3))
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return torch.minimum(rising, falling).clamp_min(0).float()


def log_mel(signals: Tensor, rate: int, weights: Tensor) -> Tensor:
    """Logarithm of the power in each band, ``(n, frames, bands)``.

    Windows (Hann) lie within the signal; a shorter one is filled with nothing.

    Args:
        signals: ``(n, samples)``.
        rate: Samples per second.
        weights: Those of ``mel_bands``.
    """
    window, shift, size = frames_of(rate)
    signals = torch.nn.functional.pad(signals, (0, max(0, window - signals.shape[1])))
    parts = signals.unfold(1, window, shift) * torch.hann_window(window, device=signals.device)
    spectrum = torch.fft.rfft(parts, size)
    power = spectrum.real**2 + spectrum.imag**2
    return (power @ weights.T.to(power)).clamp_min(LEAST).log()
