"""Features beside the formulas, and windows beside a loop."""

import sys

import pytest
import torch

from nakami import data, speech
from nakami.results import RunError


@pytest.fixture(scope="module")
def made():
    pytest.importorskip("kaldi_native_fbank", reason="features come with the extra speech")
    recordings = data.spoken_words(12, 2, seed=3)
    return recordings, *speech.cepstra(recordings)


def test_each_component_has_mean_0_and_variance_1_over_a_speaker(made):
    recordings, x, counts = made
    assert x.shape == (12, int(counts.max()), 39)
    for speaker in set(recordings.speakers):
        own = [x[i, :n] for i, n in enumerate(counts.tolist()) if recordings.speakers[i] == speaker]
        frames = torch.cat(own).double()
        assert frames.mean(0) == pytest.approx(torch.zeros(39).double(), abs=1e-5)
        assert frames.std(0, correction=0) == pytest.approx(torch.ones(39).double(), abs=1e-5)
    assert all((x[i, n:] == 0).all() for i, n in enumerate(counts.tolist()))


def test_frames_come_each_ten_milliseconds(made):
    recordings, _, counts = made
    for i, n in enumerate(counts.tolist()):
        assert n == pytest.approx(len(recordings.signal(i)) / 80, abs=1)


def test_slopes_are_regressions_over_two_frames_at_both_sides(made):
    recordings, *_ = made
    from nakami.speech._features import _of

    x = _of(recordings.signal(0).numpy(), 8000)
    frame, slope, bend = x[:, :13], x[:, 13:26], x[:, 26:]
    steps = torch.arange(-2.0, 3.0)
    for t in range(6, len(x) - 6):
        for low, high in ((frame, slope), (slope, bend)):
            fitted = (steps[:, None] * low[t - 2 : t + 3]).sum(0) / steps.square().sum()
            assert high[t] == pytest.approx(fitted, abs=1e-3)


def test_windows_are_a_frame_with_those_around_it():
    g = torch.Generator().manual_seed(0)
    x, counts = torch.randn(3, 6, 2, generator=g), torch.tensor([6, 1, 3])
    found = speech.windows(x, counts, 2)
    rows = []
    for i, n in enumerate(counts.tolist()):
        for t in range(n):
            rows.append(x[i, [min(max(s, 0), n - 1) for s in range(t - 2, t + 3)]])
    assert torch.equal(found, torch.stack(rows))
    assert torch.equal(speech.padded(found[:, 2], counts)[1, 0], x[1, 0])
    assert torch.equal(speech.padded(found[:, 2], counts)[0], x[0])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kaldi_native_fbank", None)
    monkeypatch.setattr(speech._features, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"pip install 'nakami\[speech\]'"):
        speech.cepstra(data.spoken_words(1))
