"""Pictures with sentences about them: made ones, or those of a folder with a table of captions."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nakami.results import (
    PIXEL,
    as_path,
    check_at_least,
    check_seed,
    counted,
    first_names,
    is_number,
    wrong,
)

from ._examples import Examples, plain_picture
from ._objects import shapes
from ._pictures import is_picture, pictures_in, read_pictures
from ._shape_sentences import GRID, NONE, SHAPE_COLOURS, SHAPE_KINDS, sentence_odds
from ._split import as_they_are
from ._text import END, UNKNOWN, plain_text

MOST, MARGIN, TURN = 3, 4, 20  # shapes of a picture; free pixels of a cell; degrees to either side
HEADS = (("image", "caption"), ("file_name", "text"))
FIRST = END, UNKNOWN  # words of any captions
TABLES = ("captions.txt", "captions.csv", "metadata.csv")
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
TAKEN = (
    "give a folder of pictures with a table captions.txt: the line image,caption, then lines such "
    "as dog.jpg,A dog runs"
)


@dataclass(frozen=True)
class Captioned(Examples):
    """Pictures with sentences about them, read-only by agreement.

    Attributes:
        inputs, names, unit, source, picture, noun, classes: As of ``Examples``.
        captions: Sentences of each picture.
        layout: Of made pictures what lies in the four cells, ``(N, 4)`` int64, colour times three
            and kind, or -1; None elsewhere.
        words: Once the captions are numbered, what the numbers are: the end of a sentence is 0,
            an unknown word 1. ``labels`` are then ``(N, K, T)`` int64, K sentences of each picture
            with their ends, filled up with -1.
    """

    captions: tuple[tuple[str, ...], ...] = ()
    layout: Tensor | None = None
    words: tuple[str, ...] = ()

    def __getitem__(self, part: slice | Sequence[int] | np.ndarray | Tensor) -> Captioned:
        """As of ``Examples``."""
        numbered = Examples(torch.arange(len(self)), None, self.names, self.unit, self.source)
        rows, found = numbered[part].inputs, super().__getitem__(part)
        assert isinstance(found, Captioned)
        layout = None if self.layout is None else self.layout[rows]
        return replace(
            found, captions=tuple(self.captions[i] for i in rows.tolist()), layout=layout
        )

    def numbered(self, words: Sequence[str] | None = None, least: int = 1) -> Captioned:
        """The same with the captions as ``labels``.

        Args:
            words: Those of other captions; None: the words here, the most frequent first.
            least: Words that are seen more rarely are unknown.
        """
        every = [[words_of(caption) for caption in some] for some in self.captions]
        if words is None:
            often = Counter(word for some in every for caption in some for word in caption)
            order = sorted(often, key=lambda word: (-often[word], word))
            words = (*FIRST, *(word for word in order if often[word] >= least))
        elif tuple(words[:2]) != FIRST:
            rule, way_out = f"begin with {FIRST}", "pass the words of the captions to train on"
            raise wrong("words", rule, tuple(words[:2]), way_out)
        place = {word: i for i, word in enumerate(words)}
        size = max(map(len, every)), max(len(caption) for some in every for caption in some) + 1
        labels = torch.full((len(every), *size), NONE)
        for row, some in enumerate(every):
            for column, caption in enumerate(some):
                ids = [*(place.get(word, place[UNKNOWN]) for word in caption), place[END]]
                labels[row, column, : len(ids)] = torch.tensor(ids)
        return replace(self, labels=labels, words=tuple(words))

    def spelled(self, ids: Tensor) -> str:
        """A sentence ``(T,)`` as text, without its end."""
        return " ".join(self.words[i] for i in ids.tolist() if i > 0)


def words_of(caption: str) -> list[str]:
    """Words of a sentence in small letters, without punctuation."""
    return WORD.findall(caption.lower())


def captioned_shapes(
    n: int, *, sentences: int = 3, size: int = 28, noise: float = 0.1, seed: int = 0
) -> Captioned:
    """Pictures of one to three coloured shapes, with sentences drawn by ``sentence_odds``.

    The shapes lie in different cells of a grid of 2 x 2, each turned by up to 20 degrees and at a
    random place of its cell, four colours and three kinds, all as likely; then Gaussian noise is
    added, so that values lie around 0..1.

    Args:
        n: Pictures.
        sentences: Sentences of each, drawn one by one, so that some may be the same.
        size: Pixels of a side.
        noise: Standard deviation.
        seed: Decides all that is random; torch's global generator is not touched.

    Returns:
        Pictures ``(n, 3, size, size)`` with ``captions`` and ``layout``.
    """
    n, sentences = (
        check_at_least(name, value, 1, "pass 3")
        for name, value in (("n", n), ("sentences", sentences))
    )
    size = check_at_least("size", size, GRID * (MARGIN + 4), "pass 28")
    if not (is_number(noise) and noise >= 0):
        raise wrong("noise", "be a number from 0 on", repr(noise), "pass 0.1")
    g = torch.Generator().manual_seed(check_seed(seed))
    many = torch.randint(1, MOST + 1, (n,), generator=g)
    cell = size // GRID
    things = shapes(
        int(many.sum()), SHAPE_KINDS, colours=SHAPE_COLOURS, turn=TURN, size=cell - MARGIN,
        seed=seed,
    )  # fmt: skip
    cells = torch.rand(n, GRID**2, generator=g).argsort(1)  # in random order
    shifts = torch.randint(MARGIN + 1, (len(things), 2), generator=g).tolist()
    x, layout, i = torch.zeros(n, 3, size, size), torch.full((n, GRID**2), NONE), 0
    for row, count in enumerate(many.tolist()):
        for place in cells[row, :count].tolist():
            top, left = (cell * at + by for at, by in zip(divmod(place, GRID), shifts[i],
                                                          strict=True))  # fmt: skip
            end, right = top + cell - MARGIN, left + cell - MARGIN
            x[row, :, top:end, left:right] = things.pictures[i] * things.opacity[i]
            colour = SHAPE_COLOURS.index(things.names[i].split()[0])
            layout[row, place] = colour * len(SHAPE_KINDS) + int(things.labels[i])
            i += 1
    x += noise * torch.randn(x.shape, generator=g)
    return Captioned(
        x,
        None,
        tuple(f"picture {row}" for row in range(n)),
        PIXEL,
        f"{counted(n, 'picture')} of one to three coloured shapes with "
        f"{counted(sentences, 'sentence')} each, made from seed {seed}",
        plain_picture(3),
        "picture",
        captions=tuple(_drawn(row, sentences, g) for row in layout.tolist()),
        layout=layout,
    )


def _drawn(layout: Sequence[int], n: int, g: torch.Generator) -> tuple[str, ...]:
    odds = sentence_odds(layout)
    chances = torch.tensor(list(odds.values()), dtype=torch.float64)
    every = list(odds)
    return tuple(every[i] for i in torch.multinomial(chances, n, True, generator=g).tolist())


def read_captioned(
    path: str | PathLike[str], *, size: int | None = None, mode: str | None = None
) -> Captioned:
    """Pictures of a folder and their captions.

    The folder holds a table ``captions.txt`` (``image,caption``, the form in which Flickr8k is
    usually shared) or ``metadata.csv`` (``file_name,text``, as Hugging Face's folders of pictures
    have): comma-separated values with that first line, a line for each caption, a picture as often
    as it has captions. Pictures lie there or in folders inside; those without a caption are left
    out.

    Args:
        path: The folder.
        size: Scale the shorter side to it and cut out the centre; None: as they are, all of one
            size and square.
        mode: ``"RGB"`` or ``"grey"``; None: grey where all files are.

    Raises:
        UsageError: No table, another first line, a caption without words, pictures that are not
            there, what ``read`` refuses.
    """
    path = as_path("path", path, TAKEN)
    table = next((path / name for name in TABLES if (path / name).is_file()), None)
    if table is None:
        raise wrong("path", f"hold a table {' or '.join(TABLES)}", path, TAKEN)
    found = _table(table)
    files = {file.name: file for file in pictures_in(path)}
    files |= {str(file.relative_to(path)): file for file in files.values()}
    missing = [name for name in found if name not in files]
    if missing:
        rule = f"hold the pictures that {table.name} names"
        raise wrong("path", rule, f"none of {first_names(missing)}", "add them, or leave them out")
    order = sorted(found)
    paths = [files[name] for name in order]
    size, mode = as_they_are(paths, size, mode)
    read = read_pictures(paths, path, size, mode, "unit")
    captions = tuple(tuple(found[name]) for name in order)
    pictures, many = counted(len(order), "picture"), counted(sum(map(len, captions)), "caption")
    source = f"{pictures} of {path.resolve().name} with {many}"
    return Captioned(
        read.inputs, None, read.names, read.unit, source, read.picture, "picture", captions=captions
    )


def _table(file: Path) -> dict[str, list[str]]:
    """Captions of each picture."""
    rows = list(csv.reader(StringIO(plain_text(file).removeprefix("\ufeff"))))
    head = tuple(name.strip() for name in rows[0]) if rows else ()
    columns = next((names for names in HEADS if {*names} <= {*head}), None)
    if columns is None:
        said = " or ".join(",".join(names) for names in HEADS)
        raise wrong("path", f"begin {file.name} with {said}", ",".join(head) or "nothing", TAKEN)
    image, caption = map(head.index, columns)
    found = dict[str, list[str]]()
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        good = len(row) == len(head) and is_picture(Path(row[image])) and words_of(row[caption])
        if not good:
            rule = "name a picture and a caption in each line"
            got = f"line {number} of {file.name}: {','.join(row)[:60]!r}"
            raise wrong("path", rule, got, 'write dog.jpg,"A dog, running" with quotes')
        found.setdefault(row[image].strip(), []).append(row[caption].strip())
    if not found:
        raise wrong("path", "hold captions", f"none in {file.name}", TAKEN)
    return found
