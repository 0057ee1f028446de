"""When a convolution is faster by Fourier transforms: a rule fitted to measured times.

Seconds of a forward and backward pass on one thread are a sum of three numbers of operations, each
with a cost, for either way. What is fitted is which of the two is smaller
(``benchmarks/convolution.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

BLOCK = 8  # torch's sums in float32 fill channels up to a multiple
FEW = 13  # they have fast code for kernels of up to so many numbers a side
CACHE = 190_000  # numbers of the patches of a picture, beyond which sums in float64 slow down
# seconds: once; for a pixel of a transform, times log2 of its pixels; for a product of spectra
FFT = {
    (torch.float32, False): (2.2e-3, 2.0e-9, 2.0e-10),
    (torch.float32, True): (3.9e-4, 5.6e-10, 8.1e-9),  # groups of one channel: nothing to sum
    (torch.float64, False): (1.9e-3, 3.7e-9, 3.8e-10),
    (torch.float64, True): (1.3e-3, 1.4e-9, 5.0e-9),
}


@dataclass(frozen=True)
class Sizes:
    """What decides how long a convolution takes.

    Attributes:
        batch: Pictures. channels: of the input; outputs: maps; groups: of channels.
        kernel: Numbers of a kernel, rows and columns. around: pixels of the picture with its zeros.
        places: Where sums are made, rows and columns.
    """

    batch: int
    channels: int
    outputs: int
    groups: int
    kernel: tuple[int, ...]
    around: tuple[int, int]
    places: tuple[int, int]


def fast_length(n: int) -> int:
    """The smallest even number from ``n`` on without a prime factor above 7."""
    n += n % 2
    while True:
        rest = n
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2


def prefers_fft(sizes: Sizes, dtype: torch.dtype, device: str) -> bool:
    """Whether transforms take less time; never where that was not measured.

    Measured: float32 and float64, on a processor.
    """
    if device != "cpu" or dtype not in (torch.float32, torch.float64):
        return False
    return _fft_seconds(sizes, dtype) < _direct_seconds(sizes, dtype)


def _fft_seconds(s: Sizes, dtype: torch.dtype) -> float:
    pixels = fast_length(s.around[0]) * fast_length(s.around[1])
    pairs = s.channels * s.outputs // s.groups
    transforms = (s.batch * (s.channels + s.outputs) + pairs) * pixels * math.log2(pixels)
    once, transform, product = FFT[dtype, s.channels == s.groups]
    return once + transform * transforms + product * s.batch * pairs * pixels


def _direct_seconds(s: Sizes, dtype: torch.dtype) -> float:
    inputs, outputs = s.channels // s.groups, s.outputs // s.groups
    each = math.prod(s.kernel) * s.places[0] * s.places[1]  # sums of one map
    patches = s.batch * s.channels * each
    sums = patches * outputs
    if dtype == torch.float64:
        if s.channels * each < CACHE:
            return 4.9e-4 + 2.8e-10 * sums + 3.0e-9 * patches
        return 5.5e-10 * sums + 3.0e-9 * patches
    if inputs == 1:
        return 1.8e-4 + 2.8e-10 * patches + 7.1e-10 * sums
    filled = s.batch * s.groups * each * _up(inputs) * _up(outputs)
    if max(s.kernel) > FEW:
        return 2.0e-3 + 5.8e-11 * filled + 1.6e-9 * patches
    numbers = s.batch * (s.channels + s.outputs) * s.around[0] * s.around[1]
    return 2.0e-4 + 5.1e-11 * filled + 3.9e-9 * numbers


def _up(n: int) -> int:
    return -(-n // BLOCK) * BLOCK
