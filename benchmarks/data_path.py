"""Throughput of the way from files to tensors beside that of the bare libraries.

Set before anything was measured: from files on disk (in the page cache) to tensors of both parts,
one thread, ``ROUNDS`` turns of ours and bare after a first one that does not count; processor and
wall seconds of each; throughput is bare seconds by ours within a turn, median and quartiles. The
aim is 0.95. Both give the same kind of tensors, checked by shape; only ours splits by content,
finds copies, and names wrong rows, and the bare way draws its split.

* ``csv``, ``parquet``: 200,000 rows of nine numbers, standardised by the training rows, and a
  class. Bare: Arrow's reader with the types written down, NumPy.
* ``pictures``: 400 JPEG files of 320 x 240 in two folders, shorter side scaled to 64, the centre
  cut out. Bare: a loop over Pillow.
* ``sounds``: 300 WAV files of a second at 16 kHz, 40 mel bands, standardised by band. Bare:
  soundfile and one batched transform in torch.
* ``batches``: mini-batches of 50 of the rows above, all of a second epoch. Bare: ``DataLoader``
  over a ``TensorDataset``, shuffled. ``batches, mapped``: ours from files on disk.

    python benchmarks/data_path.py      needs the extras data and train
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from PIL import Image
from pyarrow import csv, parquet
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from nakami import data
from nakami.results import plain, versions, write_whole
from nakami.training._batches import Batches

ROUNDS, ROWS, COLUMNS, BATCH = 7, 200_000, 9, 50
PICTURES, SOUNDS, SIZE, RATE = 400, 300, 64, 16_000
RESULT = Path(__file__).parent / "results" / "data_path.json"
Run = Callable[[], object]


def written(folder: Path) -> None:
    """The files, made anew."""
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(ROWS, COLUMNS))
    names = [f"c{i}" for i in range(COLUMNS)]
    with (folder / "t.csv").open("w") as file:
        file.write(",".join([*names, "y"]) + "\n")
        for row in numbers:
            kind = "no" if row[0] * row[1] > 0 else "yes"
            file.write(",".join(f"{value:.6f}" for value in row) + f",{kind}\n")
    parquet.write_table(csv.read_csv(folder / "t.csv"), folder / "t.parquet")
    low = draw.integers(0, 256, (PICTURES, 12, 16, 3), dtype=np.uint8)
    for i, pixels in enumerate(low):
        path = folder / "pictures" / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((320, 240), resample=3).save(path, quality=90)
    for i in range(SOUNDS):
        path = folder / "sounds" / "ab"[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(RATE)
            sound.writeframes(draw.integers(-9999, 9999, RATE).astype("<i2").tobytes())


def drawn(n: int) -> np.ndarray:
    """Which rows the bare way tests on."""
    return np.random.default_rng(0).random(n) < 0.1


def parted(x: Tensor, y: Tensor, tested: np.ndarray) -> tuple[Tensor, ...]:
    here = torch.from_numpy(tested)
    return x[~here], y[~here], x[here], y[here]


def bare_table(read: Callable[[], Any]) -> tuple[Tensor, ...]:
    table = read()
    tested = drawn(table.num_rows)
    columns = []
    for i in range(COLUMNS):
        x = table.column(i).to_numpy()
        own = x[~tested]
        columns.append(((x - own.mean()) / own.std()).astype(np.float32))
    kinds = table.column("y").combine_chunks().dictionary_encode()
    y = torch.from_numpy(kinds.indices.to_numpy().astype(np.int64))
    return parted(torch.from_numpy(np.stack(columns, 1)), y, tested)


def read_csv(path: Path) -> Any:
    return csv.read_csv(path, read_options=csv.ReadOptions(use_threads=False))


def read_parquet(path: Path) -> Any:
    return parquet.read_table(path, use_threads=False)


def bare_pictures(folder: Path) -> tuple[Tensor, ...]:
    files = sorted(folder.rglob("*.jpg"))
    found = []
    for file in files:
        with Image.open(file) as image:
            image = image.convert("RGB")
            w, h = image.size
            scale = SIZE / min(w, h)
            w, h = max(SIZE, int(w * scale)), max(SIZE, int(h * scale))
            image = image.resize((w, h), resample=2)
            left, top = round((w - SIZE) / 2), round((h - SIZE) / 2)
            image = image.crop((left, top, left + SIZE, top + SIZE))
            pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255)
        found.append(pixels.permute(2, 0, 1))
    y = torch.tensor([file.parent.name == "b" for file in files]).long()
    return parted(torch.stack(found), y, drawn(len(files)))


def triangles(bands: int = 40, size: int = 512) -> Tensor:
    """Weights of a mel spectrum, ``(size // 2 + 1, bands)``."""
    hertz = np.linspace(0, RATE / 2, size // 2 + 1)
    mel = np.linspace(0, 2595 * np.log10(1 + RATE / 1400), bands + 2)
    ends = 700 * (10 ** (mel / 2595) - 1)
    rise = (hertz[:, None] - ends[:-2]) / (ends[1:-1] - ends[:-2])
    fall = (ends[2:] - hertz[:, None]) / (ends[2:] - ends[1:-1])
    return torch.from_numpy(np.clip(np.minimum(rise, fall), 0, None)).float()


def bare_sounds(folder: Path) -> tuple[Tensor, ...]:
    files = sorted(folder.rglob("*.wav"))
    signals = torch.stack([torch.from_numpy(soundfile.read(f, dtype="float32")[0]) for f in files])
    frames = signals.unfold(1, 400, 160) * torch.hann_window(400)
    power = torch.fft.rfft(frames, 512).abs() ** 2
    x = (power @ triangles()).clamp_min(1e-10).log()
    tested = drawn(len(files))
    own = x[torch.from_numpy(~tested)].flatten(0, 1).double()
    x = ((x - own.mean(0)) / own.std(0, correction=0)).float().mT[:, None]
    y = torch.tensor([file.parent.name == "b" for file in files]).long()
    return parted(x, y, tested)


def prepared(schema: data.Schema) -> tuple[Tensor, ...]:
    found = data.prepare(schema)
    both = (found.examples(part) for part in ("train", "test"))
    return tuple(tensor for part in both for tensor in (part.inputs, part.labels))


def all_of(batches: Any) -> float:
    """The sum of all mini-batches, so that each is there."""
    return sum(float(batch[0].sum()) for batch in batches)


def ours_in_turn(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, ...]]:
    for group in Batches((x, y), BATCH, torch.Generator().manual_seed(0)):
        yield from group


def pairs(folder: Path) -> Iterator[tuple[str, Run, Run]]:
    """Each case: ours and bare."""
    csv_file, table = folder / "t.csv", folder / "t.parquet"
    of = {path: data.inspect(path) for path in (csv_file, table)}
    pictures, sounds = (data.inspect(folder / name) for name in ("pictures", "sounds"))
    yield "csv", lambda: prepared(of[csv_file]), lambda: bare_table(lambda: read_csv(csv_file))
    yield "parquet", lambda: prepared(of[table]), lambda: bare_table(lambda: read_parquet(table))
    yield "pictures", lambda: prepared(pictures), lambda: bare_pictures(folder / "pictures")
    yield "sounds", lambda: prepared(sounds), lambda: bare_sounds(folder / "sounds")
    x, y, _, _ = prepared(of[table])
    kept = data.prepare(of[table], memory_budget=1, folder=folder / "kept").examples("train")
    loader = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
    yield "batches", lambda: all_of(ours_in_turn(x, y)), lambda: all_of(loader)
    mapped = (kept.inputs, kept.labels)
    yield "batches, mapped", lambda: all_of(ours_in_turn(*mapped)), lambda: all_of(loader)


def timed(run: Run) -> tuple[float, float, object]:
    cpu, wall = time.process_time(), time.perf_counter()
    found = run()
    return time.process_time() - cpu, time.perf_counter() - wall, found


def alike(one: Any, other: Any) -> bool:
    """Whether both gave tensors of one form, all rows together."""
    if isinstance(one, float):
        return True
    forms = [[(t.dtype, t.shape[1:]) for t in each] for each in (one, other)]
    rows = [sum(len(t) for t in each) for each in (one, other)]
    return forms[0] == forms[1] and rows[0] == rows[1]


def measured(ours: Run, bare: Run) -> dict[str, Any]:
    assert alike(ours(), bare())
    turns = [(timed(ours)[:2], timed(bare)[:2]) for _ in range(ROUNDS)]
    found: dict[str, Any] = {}
    for i, kind in enumerate(("processor", "wall")):
        found[f"{kind} seconds"] = {
            name: statistics.median(turn[j][i] for turn in turns)
            for j, name in enumerate(("ours", "bare"))
        }
        ratios = [bare[i] / ours[i] for ours, bare in turns]
        found[f"throughput, {kind}"] = statistics.quantiles(ratios, n=4)
    return found


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        written(Path(name))
        cases = {}
        for case, ours, bare in pairs(Path(name)):
            cases[case] = measured(ours, bare)
            share = cases[case]["throughput, processor"]
            print(case, *(f"{part:.2f}" for part in share), flush=True)
    found = {"cases": cases, "versions": versions(), "rounds": ROUNDS}
    write_whole(RESULT, json.dumps(plain(found), indent=1) + "\n")


if __name__ == "__main__":
    main()
