"""Recurrent nets really trained, with what drives them: letters, sounds, characters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

# ordinary words; the first ten have the sounds that a dictionary (CMUdict) gives them
SOUNDS = {
    "window": "W IH1 N D OW0", "computer": "K AH0 M P Y UW1 T ER0", "banana": "B AH0 N AE1 N AH0",
    "paper": "P EY1 P ER0", "garden": "G AA1 R D AH0 N", "table": "T EY1 B AH0 L",
    "winter": "W IH1 N T ER0", "letter": "L EH1 T ER0", "market": "M AA1 R K AH0 T",
    "silver": "S IH1 L V ER0",
}  # fmt: skip
MORE = """
understanding information development environment temperature particular government relationship
opportunity responsibility conversation organisation mathematics philosophy electricity agriculture
photograph restaurant department experience difference important beautiful dangerous different
education afternoon yesterday something everybody newspaper butterfly classroom household adventure
carpenter chocolate telephone vegetable wonderful basketball background friendship generation
impossible instrument laboratory management mountains mysterious population production successful
tournament university washington river stone bread water music summer yellow orange purple basket
bottle button candle circle doctor engine family finger flower forest friend ground hammer island
jacket kitchen ladder monkey morning mother needle number office pencil people planet pocket potato
rabbit ribbon school season shadow sister spider spring square street sugar teacher thunder ticket
tomato travel turtle valley village visitor weather whisper wisdom writer young
"""
WORDS = [*SOUNDS, *MORE.split()]
STREAMS, LONG = 16, 1000  # sequences and their steps


@dataclass(frozen=True)
class Drive:
    """A recurrent net and its real inputs.

    Attributes:
        net: The layer. inputs: Shape (sequences, steps, I), the state carried on.
        typical: One input, shape (I,).
        episodes: Sequences as the net meets them in use, each with the state before it.
        length: Steps for the growth within an episode.
        discard: Steps left out at the start of each sequence.
        check: What shows that the net is the trained one.
    """

    net: nn.Module
    inputs: Tensor
    typical: Tensor
    episodes: list[tuple[Tensor, Tensor | None]]
    length: int = 10
    discard: int = 300
    check: dict[str, Any] = field(default_factory=dict)


def part_of(stored: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The entries under a name, without it, in float64."""
    cut = len(name) + 1
    return {k[cut:]: v.double() for k, v in stored.items() if k.startswith(f"{name}.")}


def filled(module: nn.Module, stored: dict[str, Tensor]) -> Any:
    """The module in float64 with stored parameters."""
    module.double().load_state_dict(stored)
    return module.requires_grad_(False).eval()


def streams(pieces: Sequence[Sequence[int]], seed: int) -> Tensor:
    """The pieces in a row, in an order of its own for each sequence; shape (STREAMS, LONG)."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(STREAMS):
        row: list[int] = []
        while len(row) < LONG:
            for i in torch.randperm(len(pieces), generator=generator).tolist():
                row += pieces[i]
        rows.append(row[:LONG])
    return torch.tensor(rows)


class G2P:
    """g2p_en: letters of a word in, its sounds out."""

    def __init__(self, root: Path):
        folder = root / "recurrent-weights"
        stored = load_file(folder / "g2p_en_gru.safetensors")
        self.vocab = json.loads((folder / "g2p_en_vocab.json").read_text("utf-8"))
        self.encoder = filled(nn.GRU(256, 256), part_of(stored, "encoder"))
        self.decoder = filled(nn.GRU(256, 256), part_of(stored, "decoder"))
        self.letter = stored["encoder_embedding.weight"].double()
        self.sound = stored["decoder_embedding.weight"].double()
        self.out = filled(nn.Linear(256, 74), part_of(stored, "fc"))

    def letters(self, word: str) -> list[int]:
        """Of a word, and its end."""
        return [*map(self.vocab["graphemes"].index, word), self.vocab["encoder_end"]]

    def decode(self, word: str) -> tuple[list[int], Tensor]:
        """Start and sounds of a word, and the decoder's first state (1, 256)."""
        _, first = self.encoder(self.letter[self.letters(word)])
        state, fed = first, [self.vocab["decoder_start"]]
        while len(fed) < 21:
            _, state = self.decoder(self.sound[fed[-1:]], state)
            best = int(self.out(state[0]).argmax())
            if best == self.vocab["decoder_end"]:
                break
            fed.append(best)
        return fed, first[0]

    def check(self) -> dict[str, int]:
        """How many of the ten words it pronounces as the dictionary has them."""
        names = self.vocab["phonemes"]
        said = {word: " ".join(names[i] for i in self.decode(word)[0][1:]) for word in SOUNDS}
        return {"right": sum(said[w] == SOUNDS[w] for w in SOUNDS), "of": len(SOUNDS)}

    def drives(self) -> dict[str, Drive]:
        """The encoder on words in a row, the decoder on the sounds that it then says."""
        check = self.check()
        spelt = [self.letters(word) for word in WORDS]
        said = [self.decode(word) for word in WORDS]
        e = self.vocab["graphemes"].index("e")
        n = self.vocab["phonemes"].index("N")
        words = [(self.letter[ids], None) for ids in spelt]
        sounds = [(self.sound[ids], first) for ids, first in said]
        end = self.vocab["decoder_end"]
        spoken = streams([[*ids, end] for ids, _ in said], 1)
        return {
            "g2p encoder": Drive(
                self.encoder, self.letter[streams(spelt, 0)], self.letter[e], words, check=check
            ),
            "g2p decoder": Drive(
                self.decoder, self.sound[spoken], self.sound[n], sounds, check=check
            ),
        }
