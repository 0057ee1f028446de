"""Picture and sound files as numbers."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from nakami.results import RunError, UsageError, counted

from .._pictures import picture_tensor
from ._columns import Standardise
from ._log_mel import frames_of, log_mel, mel_bands
from ._vector import Check, Values, Vector, above_zero, one_of, whole

RATE, BANDS, SECONDS = 16_000, 40, 1.0
KNOWN = 1 << 28  # bytes of sounds that are remembered from learning
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")


class Held(io.BytesIO):
    """A file that is held in memory, under its name."""

    def __init__(self, data: bytes, name: str):
        super().__init__(data)
        self.name = name

    def __str__(self) -> str:
        return self.name


class Picture(Vector):
    """Pixels: the shorter side scaled to ``size`` and the centre cut out.

    With ``normalise = "unit"`` (usual) in 0..1, else as ``data.read`` has it.
    """

    name = "pixels"

    @classmethod
    def options(cls) -> Mapping[str, Check]:
        """Size, mode and normalise, as ``data.read`` takes them."""
        return {
            "size": whole(1, "write 64"),
            "mode": one_of("RGB", "grey"),
            "normalise": one_of("unit", "imagenet", "efficientnet-lite"),
        }

    def _read(self, files: list[Any]) -> Tensor:
        size, mode = self.chosen.get("size", 64), self.chosen.get("mode", "RGB")
        return picture_tensor(files, size, mode, self.chosen.get("normalise", "unit"))[0]

    def wrong(self, values: Values) -> Mapping[int, str]:
        """Files that cannot be read."""
        found = {}
        for i, file in enumerate(values):
            try:
                self._read([again(file)])
            except UsageError as error:
                found[i] = str(error)
        return found

    def apply(self, values: Values) -> Tensor:
        """``(n, C, size, size)``."""
        return self._read([again(file) for file in values])


class LogMel(Standardise):
    """Logarithms of the power in mel bands of 25 ms each 10 ms, standardised by band.

    Every sound is taken at ``rate``, its channels averaged, and cut or filled with nothing to
    ``seconds``. One that is shorter than a window is wrong.
    """

    name, counts = "log-mel", "longer than seconds, cut"
    for_targets = False

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._known: dict[Any, tuple[np.ndarray, bool]] = {}  # raw and cut, of learned sounds
        self._room = KNOWN

    @classmethod
    def options(cls) -> Mapping[str, Check]:
        """Rate of samples, bands, and length in seconds."""
        return {
            "rate": whole(100, "write 16000"),
            "bands": whole(1, "write 40"),
            "seconds": above_zero("write 1.0"),
        }

    def samples(self, file: Any) -> np.ndarray:
        """``(rate * seconds,)`` float32."""
        return self._samples(file)[0]

    def _samples(self, file: Any) -> tuple[np.ndarray, bool]:
        """The same, and whether the sound is longer."""
        rate = self.chosen.get("rate", RATE)
        signal, own = _long_enough(file)
        if own != rate:
            from scipy.signal import resample_poly

            ratio = Fraction(rate, own)
            signal = resample_poly(signal, ratio.numerator, ratio.denominator)
        n = max(1, round(rate * self.chosen.get("seconds", SECONDS)))
        cut = np.pad(signal[:n], (0, max(0, n - len(signal)))).astype(np.float32)
        return cut, len(signal) > n

    def _raw(self, files: Values) -> tuple[np.ndarray, list[bool]]:
        """Before it is standardised, ``(n, frames, bands)``, and which are cut."""
        rate, bands = self.chosen.get("rate", RATE), self.chosen.get("bands", BANDS)
        signals, cut = zip(*map(self._samples, files), strict=True)
        power = log_mel(torch.from_numpy(np.stack(signals)), rate, mel_bands(rate, bands))
        return power.numpy(), list(cut)

    def learn(self, values: Values) -> None:
        """Mean and deviation of each band; as far as there is room, ``apply`` need not look again.

        The room is the same whatever the budget of memory, so that the bits are.
        """
        if not len(values):
            return
        raw, cut = self._raw(values)
        super().learn(raw.reshape(-1, self.chosen.get("bands", BANDS)))
        self._room -= raw.nbytes
        if self._room >= 0:
            self._known |= dict(zip(map(_key, values), zip(raw, cut, strict=True), strict=True))

    def wrong(self, values: Values) -> Mapping[int, str]:
        """Files that cannot be read."""
        found = {}
        for i, file in enumerate(values):
            try:
                _long_enough(file)
            except UsageError as error:
                found[i] = str(error)
        return found

    def apply(self, values: Values) -> Tensor:
        """``(n, 1, bands, frames)``."""
        found = [self._known.pop(_key(file), None) for file in values]
        new = [file for file, known in zip(values, found, strict=True) if known is None]
        made = iter(zip(*self._raw(new), strict=True)) if new else iter(())
        both = [next(made) if known is None else known for known in found]
        self.counted += sum(cut for _, cut in both)
        return super().apply(np.stack([raw for raw, _ in both])).mT[:, None]

    @property
    def components(self) -> tuple[str, ...]:
        """No row."""
        return ()


def read_sound(file: Any) -> tuple[np.ndarray, int]:
    """Samples of a sound file in -1..1, channels averaged, and their rate.

    Raises:
        UsageError: It cannot be read, or holds none or other than finite samples.
        RunError: soundfile is not installed.
    """
    soundfile = _soundfile()
    try:
        signal, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        _damaged(file, str(error))
    if not len(signal):
        _damaged(file, "it holds no sample")
    if not np.isfinite(signal).all():
        _damaged(file, "it holds NaN or infinity")
    return signal.mean(1), int(rate)


def length_of_sound(file: Any) -> tuple[int, int]:
    """Samples and samples per second, of the head of a sound file.

    Raises:
        UsageError: It cannot be read.
        RunError: soundfile is not installed.
    """
    soundfile = _soundfile()
    try:
        head = soundfile.info(file)
    except (soundfile.SoundFileError, OSError) as error:
        _damaged(file, str(error))
    return int(head.frames), int(head.samplerate)


def _long_enough(file: Any) -> tuple[np.ndarray, int]:
    """A sound of one window at least."""
    signal, rate = read_sound(again(file))
    if len(signal) < (least := frames_of(rate)[0]):
        _damaged(file, f"it holds {counted(len(signal), 'sample')}, a window has {least}")
    return signal, rate


def _soundfile() -> Any:
    try:
        import soundfile
    except ImportError as error:
        raise RunError(
            "sounds need soundfile, which is not installed; pip install 'nakami[data]' adds it."
        ) from error
    return soundfile


def _damaged(file: Any, why: str) -> NoReturn:
    raise UsageError(f"{file} cannot be read as a sound ({why}); repair or remove that file.")


def again(file: Any) -> Any:
    """A file from its beginning."""
    return Held(file.getvalue(), file.name) if isinstance(file, Held) else file


def _key(file: Any) -> Any:
    """What tells a file from others."""
    if isinstance(file, Held):
        return hashlib.sha256(file.getbuffer()).digest()
    return str(file)


def digest(file: Any) -> bytes:
    """The bytes of a file."""
    return file.getvalue() if isinstance(file, Held) else Path(file).read_bytes()
