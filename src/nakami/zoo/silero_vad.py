"""Silero's detector of speech, the 16 kHz branch of version 6.2.3: is there a voice in 32 ms?

Origin: Silero Team, "Silero VAD", github.com/snakers4/silero-vad (MIT); there is no paper. Names
are those of the weights in the package's program. A short-time Fourier transform (256 samples under
a Hann window, each 128), four convolutions over its magnitudes, one LSTM cell of 128 units, one
output.

Deliberate differences: none in what is computed; the state is one row, all of h and then all of c,
as ``recurrent.StateMap`` has it, and first weights are torch's but for the transform, which is
known. The package's own file of weights holds others than its program.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import wrong

from ._entry import Entry
from ._layers import layer, seeded

CHUNK, BEFORE, RATE = 512, 64, 16_000  # new samples, samples before them, per second
WINDOW, HOP, UNITS = 256, 128, 128
BANDS = WINDOW // 2 + 1
CONVOLUTIONS = ((BANDS, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1))  # in, out, stride


class SileroVAD(nn.Module):
    """Chunks of 512 samples with the 64 before them to the probability of speech.

    Modules ``stft_conv``, ``conv1``, ``relu1``, ..., ``relu4``, ``lstm_cell``, ``final_conv``.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """

    def __init__(self, generator: torch.Generator | None = None):
        super().__init__()
        g = seeded(generator)
        self.stft_conv = nn.utils.skip_init(nn.Conv1d, 1, 2 * BANDS, WINDOW, HOP, bias=False)
        with torch.no_grad():
            self.stft_conv.weight.copy_(fourier_basis()[:, None])
        for i, (below, above, stride) in enumerate(CONVOLUTIONS, 1):
            made = layer(nn.Conv1d, below, above, 3, stride=stride, padding=1, generator=g)
            self.add_module(f"conv{i}", made)
            self.add_module(f"relu{i}", nn.ReLU())
        self.lstm_cell = nn.LSTMCell(UNITS, UNITS, device="meta").to_empty(device="cpu")
        with torch.no_grad():
            for weight in self.lstm_cell.parameters():  # as torch draws them
                weight.uniform_(-(UNITS**-0.5), UNITS**-0.5, generator=g)
        self.final_conv = layer(nn.Conv1d, UNITS, 1, 1, std=UNITS**-0.5, generator=g)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """Probabilities ``(N, 1)`` of chunks ``(N, 576)``, the state before them ``(N, 256)``.

        Args:
            x: The 64 samples before, then 512 new ones, in -1..1.
            state: h, then c; None: 0.
        """
        return self.probability(self.step(self.features(x), state))

    def features(self, x: Tensor) -> Tensor:
        """What the cell is given, ``(N, 576) -> (N, 128)``."""
        if x.ndim != 2 or x.shape[1] != CHUNK + BEFORE:
            rule = f"have shape (N, {CHUNK + BEFORE})"
            raise wrong("x", rule, tuple(x.shape), "cut recordings with chunks(audio)")
        waves = self.stft_conv(F.pad(x[:, None], (0, BEFORE), mode="reflect"))
        x = (waves[:, :BANDS].square() + waves[:, BANDS:].square()).sqrt()
        for i in range(1, len(CONVOLUTIONS) + 1):
            x = self.get_submodule(f"relu{i}")(self.get_submodule(f"conv{i}")(x))
        return x[:, :, 0]

    def step(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """The state after a chunk, ``(N, 128)`` and ``(N, 256) -> (N, 256)``."""
        pair = None if state is None else (state[:, :UNITS], state[:, UNITS:])
        return torch.cat(self.lstm_cell(x, pair), 1)

    def probability(self, state: Tensor) -> Tensor:
        """Of speech, by the state, ``(N, 256) -> (N, 1)``."""
        return self.final_conv(state[:, :UNITS].relu()[..., None])[..., 0].sigmoid()

    @torch.no_grad()
    def states(self, audio: Tensor) -> Tensor:
        """States along a recording, the first 0, ``(samples,) -> (chunks + 1, 256)``."""
        x = self.features(chunks(audio.to(self.stft_conv.weight)))
        found = [x.new_zeros(1, 2 * UNITS)]
        for row in x:
            found.append(self.step(row[None], found[-1]))
        return torch.cat(found)


def chunks(audio: Tensor) -> Tensor:
    """A recording at 16 kHz cut as the detector takes it, ``(samples,) -> (chunks, 576)``.

    Before the first sample stand zeros; what is left at the end is filled up with zeros.
    """
    missing = -len(audio) % CHUNK
    return F.pad(audio, (BEFORE, missing)).unfold(0, CHUNK + BEFORE, CHUNK)


def fourier_basis() -> Tensor:
    """Cosines and minus sines of 129 frequencies under a Hann window, ``(258, 256)``."""
    phase = 2 * math.pi / WINDOW * torch.outer(torch.arange(BANDS), torch.arange(WINDOW)).double()
    basis = torch.cat([phase.cos(), -phase.sin()])
    return (basis * torch.hann_window(WINDOW, dtype=torch.float64)).float()


def make(*, generator: torch.Generator | None = None) -> SileroVAD:
    """The detector with first weights; ``data.load_weights`` fills in trained ones.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    return SileroVAD(generator)


ENTRY = Entry(
    make=make,
    input=(CHUNK + BEFORE,),
    output=(1,),
    parameters=309_633,
    task="features",
    origin="Silero VAD 6.2.3, 16 kHz",
    preprocessing="unit",
    state="silero-vad",
)
