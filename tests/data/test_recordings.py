"""Recordings in folders and in arrays."""

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from nakami import data
from nakami.results import UsageError


def write(folder, names, rate=8000, kind=np.int16):
    for i, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        wavfile.write(file, rate, (np.arange(50) * (i + 1)).astype(kind))


def test_a_folder_for_each_word_with_speakers_by_file_name(tmp_path):
    write(tmp_path, ["no/ann_0.wav", "yes/ann_1.wav", "yes/yes_bob_2.wav", "yes/x.WAV"])
    found = data.read_recordings(tmp_path)
    assert found.classes == ("no", "yes")
    assert found.labels.tolist() == [0, 1, 1, 1]
    assert dict(zip(found.names, found.speakers, strict=True)) == {
        "no/ann_0.wav": "ann",
        "yes/ann_1.wav": "ann",
        "yes/yes_bob_2.wav": "bob",
        "yes/x.WAV": "",
    }
    assert found.signal(0).tolist() == (np.arange(50) / 32768).astype(np.float32).tolist()
    assert found.rate == 8000
    part = found[found.labels == 1]
    assert len(part) == 3
    assert torch.equal(part.signal(2), found.signal(3))
    assert data.read_recordings(tmp_path / "yes" / "..", classes=("yes", "no")).labels[0] == 1


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32])
def test_samples_lie_between_minus_1_and_1(tmp_path, kind):
    scale = {np.uint8: 128, np.int32: 2**31, np.float32: 1}[kind]
    samples = np.array([[0, 2], [4, 4]], kind)
    (tmp_path / "a").mkdir()
    wavfile.write(tmp_path / "a" / "s_0.wav", 8000, samples)
    found = data.read_recordings(tmp_path).signal(0)
    expected = np.array([1, 4]) / scale - (kind is np.uint8)
    assert found.numpy() == pytest.approx(expected, rel=1e-6)


def test_arrays_of_an_npz(tmp_path):
    audio, offsets = np.arange(-6, 6, dtype=np.int16), np.array([0, 5, 12])
    given = {"audio": audio, "offsets": offsets, "labels": np.array([1, 0], np.uint8)}
    np.savez(tmp_path / "x.npz", **given)
    found = data.read_recordings(tmp_path / "x.npz")
    assert (found.rate, found.classes, found.labels.tolist()) == (8000, ("0", "1"), [1, 0])
    assert found.signal(1).tolist() == (audio[5:] / 32768).astype(np.float32).tolist()
    np.savez(tmp_path / "x.npz", **(given | {"audio": (audio + 128).astype(np.uint8)}))
    found = data.read_recordings(tmp_path / "x.npz")
    assert found.signal(1).tolist() == (audio[5:] / 128).astype(np.float32).tolist()
    more = {"rate": 16000, "classes": np.array(["no", "yes"]), "speakers": np.array(["a", "b"])}
    np.savez(tmp_path / "x.npz", **given, **more)
    found = data.read_recordings(tmp_path / "x.npz", classes=("yes", "no"))
    assert (found.rate, found.labels.tolist(), found.speakers) == (16000, [0, 1], ("a", "b"))


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(UsageError, match="path must hold WAV files in a folder for each word"):
        data.read_recordings(tmp_path)
    with pytest.raises(UsageError, match="path must hold recordings"):
        data.read_recordings(tmp_path / "nothing")
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    with pytest.raises(UsageError, match="hold the arrays audio, offsets, labels, got arrays x"):
        data.read_recordings(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", audio=np.zeros(3), offsets=[0, 2], labels=[0])
    with pytest.raises(UsageError, match="offsets from 0 to the 3 samples"):
        data.read_recordings(tmp_path / "x.npz")
    given = {"audio": np.zeros(4), "offsets": [0, 2, 4]}
    np.savez(tmp_path / "x.npz", **given, labels=[0, -1])
    with pytest.raises(UsageError, match="have labels from 0 on, got -1 to 0"):
        data.read_recordings(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", **given, labels=[0, 2], classes=["no", "yes"])
    with pytest.raises(UsageError, match="have labels from 0 to 1, got 0 to 2"):
        data.read_recordings(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", **given, labels=[0, 1], speakers=["ann"])
    with pytest.raises(UsageError, match="name a speaker for each of its 2 recordings, or none"):
        data.read_recordings(tmp_path / "x.npz")
    write(tmp_path, ["no/ann_0.wav"])
    with pytest.raises(UsageError, match="the words to train on, yes, got no"):
        data.read_recordings(tmp_path, classes=("yes",))
    write(tmp_path, ["no/ann_1.wav"], rate=16000)
    with pytest.raises(UsageError, match="of one sampling rate, got 8000 to 16000 Hz"):
        data.read_recordings(tmp_path)
    (tmp_path / "no" / "ann_1.wav").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"path must hold WAV files, got ann_1.wav"):
        data.read_recordings(tmp_path)
