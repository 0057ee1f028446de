"""Silero's detector of speech, opened: its Jacobians in speech and in silence, and its memory.

The trained detector (``$NAKAMI_DATA/spoken-digits``, Silero VAD 6.2.3, MIT) hears recordings of the
Free Spoken Digit Dataset, resampled to 16 kHz, half a second of faint noise (0.001 of full scale)
before and behind each. Of 60 recordings (ten words by six speakers) one chunk of 32 ms from the
middle of the word and one from the middle of the noise behind it:

* the Jacobian of the 128 numbers that the LSTM is given, by the 576 samples: all singular values;
* the Jacobian of the LSTM's state (h and c, 256 numbers) by the state before: the largest singular
  value, spectral radius, and mean logarithm of all singular values, by which volumes shrink.

Then Lyapunov exponents of the state, driven by words in a row and by noise alone: 4 sequences of
400 chunks each, the first 100 left out. Nothing is published to compare with; before, the exponent
under words in a row was -0.0014 a chunk (``recurrent_nets.py``). float64.

    NAKAMI_DATA=... python reproductions/silero_vad.py

One thread; estimate made before: 1 CPU minute.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from scipy.signal import resample_poly
from torch import Tensor, nn

import nakami
from nakami import data, recurrent, zoo
from nakami.zoo.silero_vad import CHUNK, SileroVAD, chunks

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import generator, mean_error, table  # noqa: E402

NAME, FAINT, TAKE = "silero_vad", 1e-3, 7
PAUSE = 16 * CHUNK  # samples, half a second
SEQUENCES, STEPS, DISCARD, EXPONENTS = 4, 400, 100, 4
READINGS = {
    "probability of speech": 3,
    "chunk, root mean square": 4,
    "largest singular value, samples to features": 2,
    "effective rank of it": 1,
    "largest singular value, state to state": 3,
    "spectral radius, state to state": 4,
    "mean ln singular value, state to state": 3,
}


def main() -> None:
    """Read the detector in speech and silence, then write the page."""
    torch.set_num_threads(1)
    began, root = time.process_time(), Path(os.environ["NAKAMI_DATA"]) / "spoken-digits"
    net = zoo.build("silero-vad")
    data.load_weights(net, root / "silero_vad_16k.safetensors")
    net = net.double()
    read: dict[str, list[list[float]]] = {"speech": [], "silence": []}
    for number, sound in enumerate(words(root)):
        for kind, reading in both(net, sound, number).items():
            read[kind].append(reading)
    exponents = {
        name: recurrent.lyapunov(net.lstm_cell, features(net, sound), EXPONENTS, discard=DISCARD)
        for name, sound in streams(root).items()
    }
    lines = report(read, exponents, time.process_time() - began)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(lines), encoding="utf-8")


def words(root: Path) -> Iterator[Tensor]:
    """One recording of each word by each speaker, at 16 kHz."""
    found = data.read_recordings(root / "fsdd.npz")
    seen = dict[tuple[int, str], int]()
    for i, key in enumerate(zip(found.labels.tolist(), found.speakers, strict=True)):
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == TAKE:
            yield wide(found.signal(i))


def wide(sound: Tensor) -> Tensor:
    """At 16 kHz, float64."""
    return torch.from_numpy(resample_poly(sound.double().numpy(), 2, 1))


def noise(samples: int, *seed: int) -> Tensor:
    """Faint noise."""
    return FAINT * torch.randn(samples, generator=generator(*seed), dtype=torch.float64)


def both(net: SileroVAD, sound: Tensor, seed: int) -> dict[str, list[float]]:
    """Readings in the middle of a word and of the noise behind it."""
    whole = noise(2 * PAUSE + len(sound), seed)
    whole[PAUSE : PAUSE + len(sound)] += sound
    cut, states = chunks(whole), net.states(whole)
    places = {
        "speech": (PAUSE + len(sound) // 2) // CHUNK,
        "silence": (PAUSE + len(sound) + PAUSE // 2) // CHUNK,
    }
    return {kind: reading(net, cut[t], states[t]) for kind, t in places.items()}


class Features(nn.Module):
    """The part of the detector before its state."""

    def __init__(self, net: SileroVAD):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 576) -> (N, 128)``."""
        return self.net.features(x)


def reading(net: SileroVAD, chunk: Tensor, state: Tensor) -> list[float]:
    """The numbers of ``READINGS``."""
    into = nakami.jacobian(Features(net), chunk[None])
    values = torch.as_tensor(nakami.svd(into, min(into.shape)).values)
    squares = values.square()
    step = recurrent.StateMap(net.lstm_cell)
    x = net.features(chunk[None]).detach()
    own = step.jacobian(x, state[None])[0]
    stretch = torch.linalg.svdvals(own).clamp_min(1e-300)
    return [
        float(net.probability(net.step(x, state[None])).detach()),
        float(chunk.square().mean().sqrt()),
        float(values.max()),
        float(squares.sum() ** 2 / squares.square().sum()),  # as ``Spectrum.effective_rank``
        float(stretch[0]),
        float(torch.linalg.eigvals(own).abs().max()),
        float(stretch.log().mean()),
    ]


def streams(root: Path) -> dict[str, Tensor]:
    """Words in a row and faint noise, ``(sequences, samples)``."""
    found, n = data.read_recordings(root / "fsdd.npz"), STEPS * CHUNK
    order = torch.randperm(len(found), generator=generator(1)).tolist()
    row = torch.cat([found.signal(i) for i in order])[: SEQUENCES * n // 2]
    return {
        "words in a row": wide(row).view(SEQUENCES, n),
        "faint noise": noise(SEQUENCES * n, 2, 3).view(SEQUENCES, n),
    }


@torch.no_grad()
def features(net: SileroVAD, sound: Tensor) -> Tensor:
    """What the cell is given along sequences, ``(sequences, steps, 128)``."""
    return torch.stack([net.features(chunks(one)) for one in sound])


def report(
    read: dict[str, list[list[float]]], exponents: dict[str, object], cpu: float
) -> Iterator[str]:
    """The page."""
    n = len(read["speech"])
    yield "# Silero's detector of speech, in speech and in silence"
    yield ""
    yield f"Means over {n} recordings, ± standard error: a chunk of 32 ms in the middle of a word,"
    yield "and one in the faint noise behind it. Difference: speech less silence, paired."
    yield ""
    rows = []
    for i, (name, places) in enumerate(READINGS.items()):
        speech, silence = ([row[i] for row in read[kind]] for kind in ("speech", "silence"))
        apart = [a - b for a, b in zip(speech, silence, strict=True)]
        cells = (mean_error(each) for each in (speech, silence, apart))
        rows.append([name, *(f"{m:.{places}f} ± {e:.{places}f}" for m, e in cells)])
    yield from table(["", "speech", "silence", "difference"], rows)
    yield ""
    yield f"Lyapunov exponents of the state, the {EXPONENTS} largest, nats a chunk of 32 ms:"
    yield ""
    yield from table(["driven by", *map(str, range(1, EXPONENTS + 1))], list(_rates(exponents)))
    yield ""
    yield made_in(cpu)
    yield ""


def _rates(exponents: dict[str, object]) -> Iterator[list[str]]:
    for name, found in exponents.items():
        pairs = zip(found.exponents, found.standard_errors, strict=True)  # type: ignore[attr-defined]
        yield [name, *(f"{x:.4f} ± {e:.4f}" for x, e in pairs)]


if __name__ == "__main__":
    main()
