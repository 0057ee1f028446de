"""The detector beside NumPy, step by step, and the trained weights where they are there."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import signal

from nakami import xray, zoo
from nakami.data import load_weights
from nakami.recurrent import StateMap
from nakami.results import UsageError
from nakami.zoo import silero_vad

WEIGHTS = Path(os.environ.get("NAKAMI_DATA", "nothing")) / "spoken-digits"


def convolved(x, weight, bias, stride):
    """A convolution of width 3 along the last axis, ``(channels, T)``, a loop over places."""
    x = np.pad(x, ((0, 0), (1, 1)))
    places = range(0, x.shape[1] - 2, stride)
    return np.stack([np.tensordot(weight, x[:, t : t + 3], 2) + bias for t in places], 1)


def by_hand(net, recording):
    """Probabilities of a recording, in NumPy."""
    w = {name: value.double().numpy() for name, value in net.state_dict().items()}
    h, c, found = np.zeros(128), np.zeros(128), []
    padded = np.concatenate([np.zeros(64), recording, np.zeros(-len(recording) % 512)])
    for start in range(0, len(padded) - 64, 512):
        chunk = np.pad(padded[start : start + 576], (0, 64), mode="reflect")
        frames = [chunk[t : t + 256] * signal.get_window("hann", 256) for t in range(0, 385, 128)]
        x = np.abs(np.fft.rfft(np.stack(frames), axis=1)).T
        for i, stride in enumerate((1, 2, 2, 1), 1):
            x = np.maximum(convolved(x, w[f"conv{i}.weight"], w[f"conv{i}.bias"], stride), 0)
        gates = w["lstm_cell.weight_ih"] @ x[:, 0] + w["lstm_cell.bias_ih"]
        gates += w["lstm_cell.weight_hh"] @ h + w["lstm_cell.bias_hh"]
        i, f, g, o = gates.reshape(4, 128)
        on = [1 / (1 + np.exp(-gate)) for gate in (i, f, o)]
        c = on[1] * c + on[0] * np.tanh(g)
        h = on[2] * np.tanh(c)
        out = w["final_conv.weight"][0, :, 0] @ np.maximum(h, 0) + w["final_conv.bias"][0]
        found.append(1 / (1 + np.exp(-out)))
    return np.array(found)


def test_it_is_what_numpy_makes_of_a_recording():
    net = zoo.build("silero-vad").double()
    recording = 0.1 * torch.randn(1700, generator=torch.Generator().manual_seed(0)).double()
    found = net.probability(net.states(recording)[1:])[:, 0]
    assert found.detach().numpy() == pytest.approx(by_hand(net, recording.numpy()), abs=1e-6)


def test_its_cell_is_the_step_of_a_state_map():
    net = zoo.build("silero-vad").double()
    g = torch.Generator().manual_seed(1)
    x, state = torch.randn(3, 128, generator=g).double(), torch.rand(3, 256, generator=g).double()
    assert torch.allclose(net.step(x, state), StateMap(net.lstm_cell)(x, state), atol=1e-12)


def test_it_is_opened_as_any_network():
    net = zoo.build("silero-vad")
    x = 0.1 * torch.randn(2, 576, generator=torch.Generator().manual_seed(2))
    run = xray(net, x, stages=("relu2", "relu4"))
    assert len(run.names) == 2


def test_chunks_overlap_by_64_samples_and_others_are_refused():
    found = silero_vad.chunks(torch.arange(1.0, 1025))
    assert found.shape == (2, 576)
    assert found[0, :64].tolist() == [0] * 64
    assert torch.equal(found[1, :64], found[0, -64:])
    with pytest.raises(UsageError, match=r"x must have shape \(N, 576\), got \(2, 512\)"):
        zoo.build("silero-vad")(torch.zeros(2, 512))


@pytest.mark.skipif(not WEIGHTS.exists(), reason="trained weights lie in $NAKAMI_DATA")
def test_trained_weights_give_what_the_package_s_own_program_gives():
    net = zoo.build("silero-vad")
    assert load_weights(net, WEIGHTS / "silero_vad_16k.safetensors") == ""
    t = torch.arange(31 * 512) / 16000
    hum = 0.3 * torch.sin(2 * torch.pi * 150 * t) * (1 + torch.sin(2 * torch.pi * 4 * t))
    found = net.probability(net.states(hum)[1:])[:, 0].detach()
    theirs = [0.09899945, 0.87443084, 0.86546075]  # silero_vad.jit of 6.2.3, torch 2.13
    assert found[[5, 20, 30]].tolist() == pytest.approx(theirs, abs=1e-5)
    faint = 1e-3 * torch.randn(100 * 512, generator=torch.Generator().manual_seed(0))
    assert float(net.probability(net.states(faint)[1:]).detach().max()) < 0.1
    assert torch.allclose(net.stft_conv.weight[:, 0], silero_vad.fourier_basis(), atol=1e-6)
