"""What fuzzed commands are given: networks, weights, arrays, pictures, IDX files and runs."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

NETS = '''
import torch
from torch import nn


class Small(nn.Module):
    """Two convolutions and a linear layer on 3 x 8 x 8 pictures."""

    def __init__(self, out=5):
        super().__init__()
        self.first, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.second, self.head = nn.Conv2d(4, 2, 3, stride=2), nn.Linear(18, out)

    def forward(self, x):
        return self.head(self.second(self.relu(self.first(x))).flatten(1))


class Words(nn.Module):
    """Tokens to logits at each position."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.block = nn.TransformerEncoderLayer(6, 2, 8, dropout=0, batch_first=True)
        self.head = nn.Linear(6, 11)

    def forward(self, tokens):
        return self.head(self.block(self.embed(tokens)))


class Two(nn.Module):
    """A dict of two outputs."""

    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = nn.Linear(6, 5), nn.Linear(5, 3), nn.Linear(5, 2)

    def forward(self, x):
        h = self.body(x).tanh()
        return {"a": self.a(h), "b": self.b(h)}


def small():
    return Small()


def words():
    return Words()


def two():
    return Two()


def flat():
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def normed():
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))


def gru():
    return nn.GRU(6, 4, batch_first=True)


def constant():
    net = flat()
    for p in net.parameters():
        nn.init.zeros_(p)
    return net


def poisoned():
    net = flat()
    with torch.no_grad():
        net[0].weight[0, 0] = float("nan")
    return net


def raising():
    raise RuntimeError("no such luck")


def nothing():
    return None


number = 3
ready = flat()
'''


def made(folder: Path, seed: int = 0) -> Path:
    """The stock in a new folder."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    (folder / "soak_nets.py").write_text(NETS, encoding="utf-8")
    _arrays(folder, rng)
    _weights(folder)
    _pictures(folder, rng)
    _idx(folder, rng)
    (folder / "texts.txt").write_text("one two\nthree\n\nfour five six\n", encoding="utf-8")
    (folder / "empty").mkdir()
    return folder


def _arrays(folder: Path, rng: np.random.Generator) -> None:
    flat = rng.normal(size=(4, 6)).astype(np.float32)
    pictures = rng.normal(size=(4, 3, 8, 8)).astype(np.float32)
    arrays = {
        "flat": flat,
        "flat64": flat.astype(np.float64),
        "half": flat.astype(np.float16),
        "fortran": np.asfortranarray(flat),
        "pictures": pictures,
        "bytes": rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8),
        "tokens": rng.integers(0, 11, (3, 5)),
        "far tokens": np.full((2, 5), 99),
        "steps": rng.normal(size=(3, 5, 6)).astype(np.float32),
        "nan": np.where(rng.random((4, 6)) < 0.2, np.nan, flat).astype(np.float32),
        "inf": np.full((2, 6), np.inf, dtype=np.float32),
        "zeros": np.zeros((3, 6), dtype=np.float32),
        "huge": flat * np.float32(1e30),
        "none": flat[:0],
        "scalar": np.float32(3),
        "complex": flat.astype(np.complex64),
        "text": np.array(["a", "b"]),
        "odd name, with a comma": flat,
        "größe 中": flat,
        "-dash": flat,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    np.savez(folder / "both.npz", x=flat, y=np.array([0, 1, 2, 0]))
    np.savez(folder / "labelled.npz", inputs=pictures, labels=np.array([0, 1, 2, 4]))
    np.savez(folder / "wrong labels.npz", inputs=pictures, labels=np.array([0, 1, 2, 77]))
    np.save(folder / "objects.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    whole = (folder / "flat.npy").read_bytes()
    (folder / "cut.npy").write_bytes(whole[: len(whole) // 2])
    (folder / "lying.npy").write_bytes(b"no array at all\n" * 9)
    (folder / "void.npy").write_bytes(b"")


def _weights(folder: Path) -> None:
    from torch import nn

    flat = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).state_dict()
    save_file(flat, folder / "flat.safetensors")
    save_file({f"model.{k}": v for k, v in flat.items()}, folder / "prefixed.safetensors")
    save_file({k: v[:2].clone() for k, v in flat.items()}, folder / "narrow.safetensors")
    save_file({k: v * float("nan") for k, v in flat.items()}, folder / "nan.safetensors")
    save_file({k: v.half() for k, v in flat.items()}, folder / "half.safetensors")
    save_file({"other": torch.ones(2)}, folder / "other.safetensors")
    torch.save(flat, folder / "flat.pt")
    torch.save({"state_dict": flat, "epoch": 3}, folder / "checkpoint.pth")
    np.savez(folder / "flat weights.npz", **{k: v.numpy() for k, v in flat.items()})
    whole = (folder / "flat.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[:-40])
    (folder / "void.safetensors").write_bytes(b"")
    (folder / "cut.pt").write_bytes((folder / "flat.pt").read_bytes()[:300])


def _pictures(folder: Path, rng: np.random.Generator) -> None:
    at = folder / "shots"
    at.mkdir()
    colours = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(colours).save(at / "a.png")
    Image.fromarray(colours).save(at / "b.jpg")
    Image.fromarray(colours[..., 0]).save(at / "grey.png")
    Image.fromarray(colours).convert("P").save(at / "palette.png")
    Image.fromarray(np.dstack([colours, colours[..., :1]])).save(at / "clear.png")
    Image.fromarray(colours[:1, :1]).save(at / "dot.png")
    mixed = folder / "mixed"
    shutil.copytree(at, mixed)
    (mixed / "notes.txt").write_text("not a picture", encoding="utf-8")
    (mixed / "cut.png").write_bytes((at / "a.png").read_bytes()[:60])
    (mixed / "words.png").write_text("no picture", encoding="utf-8")
    for kind in ("cats", "dogs"):
        shutil.copytree(at, folder / "classes" / kind)


def _idx(folder: Path, rng: np.random.Generator) -> None:
    body = rng.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    whole = struct.pack(">4B3I", 0, 0, 8, 3, *body.shape) + body.tobytes()
    (folder / "idx-ubyte").write_bytes(whole)
    with gzip.open(folder / "idx-ubyte.gz", "wb") as file:
        file.write(whole)
    (folder / "short-idx-ubyte").write_bytes(whole[:50])
    (folder / "false-idx-ubyte").write_bytes(struct.pack(">4B", 7, 7, 7, 7) + whole[4:])
    (folder / "cut-idx-ubyte.gz").write_bytes((folder / "idx-ubyte.gz").read_bytes()[:40])
    (folder / "plain-idx-ubyte.gz").write_bytes(whole)
    (folder / "other-idx-ubyte.gz").write_bytes(zlib.compress(whole))


def broken_runs(folder: Path, run: Path) -> None:
    """Copies of a finished run, each with one thing wrong."""
    for name in ("unfinished", "future", "garbled", "torn", "foreign", "bare"):
        shutil.copytree(run, folder / name)
    pieces = sorted((folder / "unfinished" / "pieces").iterdir())
    shutil.rmtree(pieces[-1])
    (folder / "unfinished" / "result.json").unlink()
    settings = json.loads((folder / "future" / "run.json").read_text("utf-8"))
    settings["schema"] = "nakami.xray/99"
    (folder / "future" / "run.json").write_text(json.dumps(settings), encoding="utf-8")
    settings["schema"] = "nakami.nonsense/1"
    (folder / "foreign" / "run.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "garbled" / "run.json").write_text('{"schema": ', encoding="utf-8")
    arrays = next((folder / "torn" / "pieces").glob("*/arrays.safetensors"))
    arrays.write_bytes(arrays.read_bytes()[:-9])
    (folder / "bare" / "run.json").unlink()
