"""Trained LSTMs and what drives them: characters of English sentences, spoken digits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from _recurrent_drives import STREAMS, Drive, filled, part_of, streams
from safetensors.torch import load_file
from scipy.signal import resample_poly
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

SENTENCES = """
The train to the city leaves at seven in the morning.
What is the best way to learn a new language?
My brother found an old map in the kitchen.
I made a small game about a cat and a mouse.
How do you keep your plants alive in winter?
The new phone is better than I expected.
This is what happens when you leave the door open.
A friend of mine wants to sell his car.
We went to the beach and it rained all day.
Does anyone know where this picture was taken?
She wrote a long letter to the people of the town.
There is no good reason to be afraid of the dark.
The first thing I do every day is to read the news.
He has been working on this house for ten years.
Can you help me find the name of this song?
It looks like the price of bread will go up again.
I just finished my first book and want to share it.
The dog next door is looking at me through the window.
Why do so many people love this movie?
They say that the water here is very cold in spring.
"""
WINDOW, CHUNK, BEFORE, CHUNKS = 40, 512, 64, 500


def text(root: Path) -> dict[str, Drive]:
    """textgenrnn: two LSTM layers on characters."""
    folder = root / "recurrent-weights"
    stored = load_file(folder / "textgenrnn_lstm.safetensors")
    vocab = json.loads((folder / "textgenrnn_vocab.json").read_text("utf-8"))
    embedding = stored["embedding.weight"].double()
    parts = {f"{k[:-1]}{i}": v for i in (0, 1) for k, v in part_of(stored, f"rnn_{i + 1}").items()}
    net = filled(nn.LSTM(100, 128, 2, batch_first=True), parts)
    lines = [[vocab[c] for c in line + " "] for line in SENTENCES.strip().split("\n")]
    episodes = [(embedding[ids], None) for ids in lines]
    inputs = embedding[streams(lines, 2)]
    check = _loss(stored, embedding, parts, [i for line in lines for i in line])
    return {"textgenrnn": Drive(net, inputs, embedding[vocab["e"]], episodes, check=check)}


def _loss(
    stored: dict[str, Tensor], embedding: Tensor, parts: dict[str, Tensor], ids: list[int]
) -> dict[str, float]:
    """Nats a character and the share foreseen, over whole windows of the sentences in a row."""
    windows = torch.tensor(ids).unfold(0, WINDOW + 1, 1)
    x = embedding[windows[:, :-1]]
    outputs = [x]
    for i in (0, 1):
        own = {f"{k[:-1]}0": v for k, v in parts.items() if k.endswith(str(i))}
        layer = filled(nn.LSTM(outputs[-1].shape[2], 128, batch_first=True), own)
        outputs.append(layer(outputs[-1])[0])
    joined = torch.cat(outputs, dim=2)
    weights = (joined @ stored["attention.weight"].double().T).softmax(1)
    out = filled(nn.Linear(356, 465), part_of(stored, "output"))
    logits, nexts = out((weights * joined).sum(1)), windows[:, -1]
    right = float((logits.argmax(1) == nexts).double().mean())
    return {"loss": round(float(cross_entropy(logits, nexts)), 3), "right": round(right, 3)}


def speech(root: Path) -> dict[str, Drive]:
    """Silero's detector of speech on spoken digits, one after the other."""
    stored = load_file(root / "spoken-digits" / "silero_vad_16k.safetensors")
    data = np.load(root / "spoken-digits" / "fsdd.npz")
    order = np.random.default_rng(0).permutation(len(data["labels"]))
    audio, ends = data["audio"], data["offsets"]
    takes = [audio[ends[i] : ends[i + 1]] / 32768 for i in order]
    whole = np.concatenate(takes)[: STREAMS * CHUNKS * CHUNK // 2]
    long = torch.from_numpy(resample_poly(whole, 2, 1))
    convs = []
    for i, stride in enumerate((1, 2, 2, 1), 1):
        sizes = stored[f"conv{i}.weight"].shape
        conv = nn.Conv1d(sizes[1], sizes[0], 3, stride=stride, padding=1)
        convs += [filled(conv, part_of(stored, f"conv{i}")), nn.ReLU()]
    stack, basis = nn.Sequential(*convs), stored["stft_conv.weight"].double()

    def features(sound: Tensor) -> Tensor:
        chunks = pad(sound, (BEFORE, 0)).unfold(0, CHUNK + BEFORE, CHUNK)
        chunks = pad(chunks[:, None], (0, BEFORE), mode="reflect")
        waves = nn.functional.conv1d(chunks, basis, stride=128)
        magnitude = (waves[:, :129].square() + waves[:, 129:].square()).sqrt()
        return stack(magnitude)[:, :, 0]

    net = filled(nn.LSTMCell(128, 128), part_of(stored, "lstm_cell"))
    final = filled(nn.Conv1d(128, 1, 1), part_of(stored, "final_conv"))

    def probability(x: Tensor) -> float:
        state, said = (torch.zeros(1, 128).double(),) * 2, []
        for row in x:
            state = net(row[None], state)
            said.append(float(final(state[0].relu()[..., None]).sigmoid()))
        return round(float(np.mean(said)), 3)

    inputs = torch.cat([features(part) for part in long.chunk(STREAMS)]).view(STREAMS, CHUNKS, 128)
    faint = 1e-3 * torch.randn(100 * CHUNK, generator=torch.Generator().manual_seed(0)).double()
    check = {"speech": probability(inputs[0, :100]), "faint noise": probability(features(faint))}
    alone = [features(torch.from_numpy(resample_poly(take, 2, 1))) for take in takes[:60]]
    episodes = [(x, None) for x in alone]
    typical = inputs.flatten(0, 1).mean(0)
    return {"silero": Drive(net, inputs, typical, episodes, 10, 100, check)}
