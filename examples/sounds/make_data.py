"""Make sounds of three kinds in a folder for each: sounds/. Your recordings take their place."""

import sys
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
KINDS = ("alarm", "hum", "rain")


def sound(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Half a second to a second of a kind, behind some silence, in noise."""
    t = np.arange(int(RATE * rng.uniform(0.5, 0.9))) / RATE
    pitch = rng.uniform(0.8, 1.25)
    if kind == "alarm":  # a pitch that rises again and again
        own = np.sin(2 * np.pi * np.cumsum(900 * pitch + 700 * (4 * t % 1)) / RATE)
    elif kind == "hum":  # a low tone with overtones
        own = sum(np.sin(2 * np.pi * 110 * pitch * k * t) / k for k in (1, 2, 3))
    else:  # noise of many drops
        own = rng.normal(size=len(t)) * (rng.random(len(t)) < 0.2) * 2
    silence = np.zeros(int(RATE * rng.uniform(0, 0.1)))
    signal = np.concatenate([silence, own * rng.uniform(0.1, 0.4)])
    return signal + rng.normal(0, 0.02, len(signal))


rng = np.random.default_rng(0)
for i in range(int(sys.argv[1])):
    kind = KINDS[i % len(KINDS)]
    folder = Path("sounds", kind)
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / f"{i:04}.wav", sound(kind, rng), RATE)
