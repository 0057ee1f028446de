"""What the page of captions shows: what is written below pictures, and where it goes wrong."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nakami.data import Captioned, is_true
from nakami.zoo.captioner import Captioner

from ..results import Lines, Picture, Texts
from ._captions import describe, features, labels, nats, rule_nats


def written(models: Mapping[str, Captioner], shown: Captioned, beam: int) -> tuple[Picture, Texts]:
    """Pictures, and what is written below them; of made ones whether it is true."""
    columns = []
    for model in models.values():
        texts = describe(model, shown, beam)
        if shown.layout is not None:
            pairs = zip(texts, shown.layout.tolist(), strict=True)
            texts = [text + ("" if is_true(text, layout) else " (false)") for text, layout in pairs]
        columns.append(texts)
    given = [captions[0] for captions in shown.captions]
    rows = zip(map(str, range(1, len(shown) + 1)), *columns, given, strict=True)
    caption = "The first test pictures, number 1 to the left; what is written below them follows."
    how = "What is written by beam search with both parts held and fine-tuned, beside a caption."
    return (
        Picture("Pictures", caption, shown.inputs.cpu()[None], (0.0, 1.0)),
        Texts("Captions", how, ("picture", *models, "given"), tuple(rows)),
    )


def lost(models: Mapping[str, Captioner], test: Captioned) -> list[Lines]:
    """Nats above the rules by the place of a word, of made pictures."""
    if test.layout is None:
        return []
    lines = {
        name: excess_by_place(nats(model.language, test, features(model, test)), test)
        for name, model in models.items()
    }
    caption = (
        "Mean of -log p less that of the rules which made the captions, at each word given the "
        "true ones before it: what the model does not know of the picture when it is asked."
    )
    x, y = "place of the word in its caption", "nats above the rules"
    return [Lines("Where the picture is forgotten", caption, x, y, lines, (0.0,))]


def excess_by_place(each: Tensor, test: Captioned) -> tuple[list[float], list[float]]:
    """Places of words from 1 on, and the mean nats above the rules there.

    Args:
        each: As ``nats`` gives.
        test: Made pictures.
    """
    there = (labels(test) >= 0).double().sum((0, 1))
    above = (each - rule_nats(test)).sum((0, 1)) / there.clamp(min=1)
    return [float(i) for i in range(1, len(above) + 1)], above.tolist()
