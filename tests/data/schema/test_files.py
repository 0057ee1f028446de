"""Folders of pictures and sounds, arrays, and texts become tensors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from nakami import data
from nakami.data.schema._log_mel import log_mel, mel_bands
from nakami.results import UsageError

pytest.importorskip("soundfile")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def photographs(tmp_path):
    colours = {"red": (255, 0, 0), "blue": (0, 0, 255)}
    generator = np.random.default_rng(0)
    for part, n in (("train", 6), ("test", 3)):
        for name, colour in colours.items():
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = np.full((12, 16, 3), colour, dtype=np.uint8)
                pixels[:, :, 1] = generator.integers(0, 200, (12, 16))
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "photos"


def test_folders_name_classes_and_parts(photographs):
    schema = data.inspect(photographs)
    assert {c.name: (c.type, c.use) for c in schema.columns} == {
        "file": ("picture", "input"),
        "class": ("category", "target"),
        "part": ("category", "ignored"),
    }
    assert (schema.split.by, schema.split.values) == ("part", ("test",))
    prepared = data.prepare(schema)
    train, test = prepared.examples("train"), prepared.examples("test")
    assert train.inputs.shape == (12, 3, 12, 12)  # no larger than they are
    assert test.classes == ("blue", "red")
    assert test.labels.tolist() == [0] * 3 + [1] * 3
    assert train.inputs[:, 0].amin((1, 2)).tolist() == [0] * 6 + [1] * 6  # red is 255 or nothing
    assert train.picture == {"mean": [0.0] * 3, "std": [1.0] * 3}


def test_copies_in_both_parts_are_reported(photographs):
    twin = (photographs / "train" / "red" / "0.png").read_bytes()
    (photographs / "test" / "red" / "again.png").write_bytes(twin)
    (photographs / "train" / "blue" / "wrong.png").write_bytes(twin)
    report = data.prepare(data.inspect(photographs)).report
    assert report.copies == ("test/red/again.png",)
    assert (report.repeated, report.contradictory) == (2, 1)  # blue and red behind a red one


def test_a_damaged_picture_is_named(photographs):
    (photographs / "train" / "red" / "0.png").write_bytes(b"no picture")
    schema = data.inspect(photographs)
    with pytest.raises(UsageError, match=r"hold no wrong row, got 1 \(train/red/0.png, file: "):
        data.prepare(schema)


def tone(path, hertz, rate, seconds=0.5):
    time = np.arange(int(rate * seconds)) / rate
    wavfile.write(path, rate, (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32))


def test_sounds_are_taken_at_one_rate_and_length(tmp_path):
    for name, hertz in (("low", 200), ("high", 1500)):
        (tmp_path / name).mkdir()
        for i, rate in enumerate((8000, 16000, 8000, 8000)):
            tone(tmp_path / name / f"{i}.wav", hertz + 20 * i, rate, 0.5 + 0.1 * i)
    schema = data.inspect(tmp_path)
    column = schema.columns[0]
    assert (column.type, dict(column.options)) == (
        "sound",
        {"rate": 16000, "bands": 40, "seconds": 0.8},
    )
    prepared = data.prepare(schema)
    assert prepared.report.reduced == {}
    parts = [prepared.examples(part) for part in ("train", "test")]
    inputs = torch.cat([part.inputs for part in parts])
    assert inputs.shape == (8, 1, 40, 78)  # 0.8 s, windows of 25 ms each 10 ms
    labels = torch.cat([part.labels for part in parts])
    bands = prepared.preparation.vectors["file"].learned()
    scale, shift = (torch.tensor(bands[name])[:, None] for name in ("scale", "shift"))
    loudest = (inputs[:, 0, :, :30] * scale + shift).mean(2).argmax(1)
    text = schema.to_toml(tmp_path).replace("seconds = 0.8", "seconds = 0.55")
    (tmp_path / "s.toml").write_text(text)
    cut = data.prepare(data.read_schema(tmp_path / "s.toml")).report.reduced
    assert cut == {"file: longer than seconds, cut": 6}  # of 0.5, 0.6, 0.7, 0.8 s in both classes
    assert loudest[labels == 0].min() > loudest[labels == 1].max()  # high, low


def test_a_proposal_goes_by_all_heads_and_leaves_out_what_is_no_file_of_the_users(tmp_path):
    for i in range(30):
        tone(tmp_path / f"{i:02}.wav", 300, 8000, 0.5 if i < 29 else 0.9)
    (tmp_path / "._29.wav").write_bytes(b"what macOS leaves beside files")
    (tmp_path / "29b.wav").write_bytes(b"damaged")
    (column,) = data.inspect(tmp_path).columns
    assert dict(column.options) == {"rate": 8000, "bands": 40, "seconds": 0.9}
    assert column.seen == "sounds of 0.5 to 0.9 s"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i, size in enumerate(((30, 200), (90, 80))):
        Image.new("L", size).save(pictures / f"{i}.png")
    (column,) = data.inspect(pictures).columns
    assert dict(column.options) == {"size": 64, "mode": "grey"}
    assert column.seen == "pictures, shorter side 30 to 80 pixels"


def test_a_sound_shorter_than_a_window_is_a_wrong_row(tmp_path):
    for i in range(40):
        tone(tmp_path / f"{i}.wav", 300 + i, 8000)
    tone(tmp_path / "short.wav", 300, 8000, 10 / 8000)
    schema = data.inspect(tmp_path)
    said = r"got 1 \(short.wav, file: .*it holds 10 samples, a window has 200"
    with pytest.raises(UsageError, match=said):
        data.prepare(schema)
    kept = data.prepare(replace(schema, wrong_rows="skip"))
    assert [row.row for row in kept.report.wrong] == ["short.wav"]
    assert kept.report.train + kept.report.test == 40


def test_bands_are_those_of_a_dense_fourier_transform():
    rate, bands = 8000, 23
    signal = torch.randn(1, 700, generator=torch.Generator().manual_seed(0))
    weights = mel_bands(rate, bands)
    found = log_mel(signal, rate, weights)[0]
    x, window, size = signal[0].double().numpy(), 200, 256
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    hertz = np.arange(size // 2 + 1) * rate / size
    wave = np.exp(-2j * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(window)) / size)
    ends = np.linspace(0, 2595 * np.log10(1 + rate / 1400), bands + 2)
    centres = 700 * (10 ** (ends / 2595) - 1)
    for frame in range(7):
        power = np.abs(wave @ (hann * x[80 * frame : 80 * frame + window])) ** 2
        for band in range(bands):
            low, top, high = centres[band : band + 3]
            inside = np.clip(
                np.minimum((hertz - low) / (top - low), (high - hertz) / (high - top)), 0, None
            )
            expected = np.log(max(inside @ power, 1e-10))
            assert found[frame, band].item() == pytest.approx(expected, abs=2e-3)
    assert found.shape == (7, bands)


def test_arrays_keep_their_parts(tmp_path):
    x = np.arange(60, dtype=np.float32).reshape(10, 6)
    np.savez(tmp_path / "a.npz", x_train=x[:7], y_train=np.arange(7) % 2, x_test=x[7:],
             y_test=np.array([0, 1, 0]))  # fmt: skip
    schema = data.inspect(tmp_path / "a.npz")
    prepared = data.prepare(schema)
    assert torch.equal(prepared.examples("train").inputs, torch.from_numpy(x[:7]))
    assert prepared.examples("test").labels.tolist() == [0, 1, 0]


def test_texts_become_bags_or_places(tmp_path):
    path = tmp_path / "said.csv"
    lines = [
        "a good film indeed",
        "a bad film indeed",
        "good good acting there",
        "bad sound it had",
    ]
    said = [f"{line} {i}" for i, line in enumerate(lines * 10)]
    path.write_text("said,label\n" + "\n".join(f"{line},{i % 2}" for i, line in enumerate(said)))
    schema = data.inspect(path)
    assert [(c.type, c.use, c.vector) for c in schema.columns] == [
        ("text", "input", "bag"),
        ("category", "target", "classes"),
    ]
    prepared = data.prepare(schema)
    train, names = prepared.examples("train"), prepared.preparation.components
    for row, name in zip(train.inputs, train.names, strict=True):
        line = said[int(name.split()[1]) - 1]
        assert [n.partition(":")[2] in line.split() for n in names] == row.bool().tolist()
    (tmp_path / "s.toml").write_text(schema.to_toml().replace('"bag"', '"words"\nlength = 3'))
    words = data.prepare(data.read_schema(tmp_path / "s.toml"))
    ids, vector = words.examples("train").inputs, words.preparation.vectors["said"]
    assert ids.shape[1] == 3
    kinds = vector.vocabulary()
    first = said[int(words.examples("train").names[0].split()[1]) - 1].split()
    assert [kinds[i] for i in ids[0].tolist()] == first[:3]
    assert words.report.reduced == {"said: longer than length, cut": len(lines) * 10}


def test_kept_and_read_again_it_gives_the_same_bits(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,label\n" + "\n".join(f"{i / 7},{'xyz'[i % 3]},{i % 2}" for i in range(50)))
    prepared = data.prepare(data.inspect(path))
    again = data.read_preparation(prepared.preparation.save(tmp_path / "p.json"))
    from nakami.data.schema._open import opened

    part = next(opened(path).parts(again.types()))
    one, other = (made.rows(part)[0] for made in (prepared.preparation, again))
    assert torch.equal(one, other)
    assert again.classes == prepared.preparation.classes == ("0", "1")


def test_more_than_the_budget_is_refused_before_it_is_held(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "\n".join(f"{i / 7},{i % 2}" for i in range(50)))
    with pytest.raises(UsageError, match="memory_budget must hold all rows, got 100 bytes for 50"):
        data.prepare(data.inspect(path), memory_budget=100)
