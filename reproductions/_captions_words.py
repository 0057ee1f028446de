"""What words of captions of made pictures tell, and how much of what is written is true."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from _wide import digits
from torch import Tensor

from nakami import data
from nakami.data import Captioned
from nakami.data._shape_sentences import RELATIONS
from nakami.results import Xray

ROLES = ("first shape", "relation", "second shape")
SIDES = {relation.split()[0] for relation in RELATIONS}  # a relation is told by its first word


def by_role(odds: Tensor, test: Captioned) -> dict[str, float]:
    """Nats of a caption above the rules, by what its words tell.

    Args:
        odds: Log-probability of each word of each caption, ``(captions, T)``.
        test: The captions.
    """
    assert test.layout is not None
    found, row = dict.fromkeys(ROLES, 0.0), 0
    for layout, captions in zip(test.layout.tolist(), test.captions, strict=True):
        for caption in captions:
            own = (-odds[row]).tolist()
            for role, nats, rule in zip(
                roles(caption), own, data.word_nats(caption, layout), strict=False
            ):
                if role is not None:
                    found[role] += nats - rule
            row += 1
    return {role: digits(value / row) for role, value in found.items()}


def roles(caption: str) -> list[str | None]:
    """What each word of a sentence and its end tell; None where the grammar leaves no choice."""
    found, second = list[str | None](), False
    for word in caption.split():
        if word in SIDES:
            found.append("relation")
            second = True
        elif word in ("a", "of"):
            found.append(None)
        else:
            found.append("second shape" if second else "first shape")
    return [*found, None if second else "relation"]


def told(written: Sequence[str], test: Captioned) -> dict[str, float]:
    """Shares in % of sentences that are true, in whole and in parts; BLEU-4."""
    from nltk.translate.bleu_score import corpus_bleu

    assert test.layout is not None
    facts = list(zip(written, test.layout.tolist(), strict=True))
    parts = [(*_halves(text), layout) for text, layout in facts if _halves(text)[1]]
    given = [[caption.split() for caption in captions] for captions in test.captions]
    shares = {
        "true": [data.is_true(text, layout) for text, layout in facts],
        "sentences": [data.is_sentence(text) for text in written],
        "about two": [bool(_halves(text)[1]) for text in written],
        "first there": [data.is_true(first, layout) for first, _, layout in parts],
        "second there": [data.is_true(second, layout) for _, second, layout in parts],
        "both the same": [first == second for first, second, _ in parts],
    }
    found = {name: digits(100 * sum(x) / max(1, len(x))) for name, x in shares.items()}
    bleu = corpus_bleu(given, [text.split() for text in written])
    return found | {"BLEU-4": digits(100 * bleu)}


def _halves(text: str) -> tuple[str, str]:
    """The phrases of a sentence; the second is empty where there is none."""
    for relation in RELATIONS:
        first, middle, second = text.partition(f" {relation} ")
        if middle:
            return first, second
    return text, ""


def means(run: Xray, stages: Sequence[str]) -> dict[str, list[float]]:
    """Mean over inputs of the number of singular values above 1, and of the largest, by stage."""
    values = [torch.as_tensor(run.values(stage)) for stage in stages]
    return {
        "above 1": [digits(float((v > 1).double().sum(1).mean())) for v in values],
        "largest": [digits(float(v[:, 0].double().mean())) for v in values],
    }
