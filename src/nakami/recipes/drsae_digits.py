"""A discriminative recurrent sparse autoencoder of digits, before and after labels.

An encoder that runs for 11 steps learns sparse codes of digits; then a classifier of the codes is
trained together with it. What labels change is seen in the units: some stop to look for what they
add to the picture (part units) and are driven by others (categorical units). ``zoo.drsae`` has
origin and differences.

Deliberate differences: Adam, sizes and rates for the 4,000 shipped digits, and a smaller weight of
reconstruction in the second phase.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.nn import MaxNorm
from nakami.training import Autoencoding, DiscriminativeCoding, Falling, Training
from nakami.zoo import drsae
from nakami.zoo.drsae import CLASS_ROWS, DrSAE

from ..results import Lines, Picture, counted
from ._examples import classes, digits_from
from ._facts import error_fact, mean_fact
from ._pictures import COLUMNS, rows_of
from ._settings import POSITIVE, Bounds
from ._stacked import pixels_of_digits
from ._subject import Network, Recipe

ALIGNED = 0.5  # cosine below which a unit's encoder row and decoder column are called apart
TIMES = (1, 2, 3, 5, 8)  # steps after which codes are shown, beside the last


@dataclass(frozen=True)
class DrSAESettings:
    """What decides the weights, beside seed and data.

    Attributes:
        hidden: Hidden units.
        steps: Of the recursion.
        l1: Weight of the sum of the code.
        pretrain_epochs: Passes over the data without labels.
        pretrain_rate: Learning rate of Adam at first; it falls linearly to 0.
        finetune_epochs: Passes with labels.
        finetune_rate: As pretrain_rate, of the autoencoder.
        head_rate: As pretrain_rate, of the classifier.
        weight: Of reconstruction and sparsity beside the cross-entropy.
        batch: Examples of one update, in both.
    """

    hidden: Annotated[int, Bounds(1)] = 200
    steps: Annotated[int, Bounds(1)] = 11
    l1: float = 0.25
    pretrain_epochs: int = 30
    pretrain_rate: Annotated[float, POSITIVE] = 1e-4
    finetune_epochs: int = 40
    finetune_rate: Annotated[float, POSITIVE] = 2e-4
    head_rate: Annotated[float, POSITIVE] = 4e-3
    weight: float = 0.1
    batch: Annotated[int, Bounds(1)] = 100


def made(
    settings: DrSAESettings, inputs: int, outputs: int, generator: torch.Generator
) -> tuple[DrSAE, nn.Sequential]:
    """Autoencoder and classifier of its code, with first weights."""
    s = settings
    coder = DrSAE(inputs, s.hidden, steps=s.steps, l1=s.l1, generator=generator)
    return coder, drsae.head(s.hidden, outputs, generator)


def untrained(settings: DrSAESettings) -> nn.Sequential:
    """The network with first weights, in evaluation mode."""
    parts = made(settings, pixels_of_digits(), 10, torch.Generator().manual_seed(0))
    return drsae.classifier(*parts).eval()


def epochs(settings: DrSAESettings) -> Mapping[str, int]:
    """Without labels, then with them."""
    return {"pretrained": settings.pretrain_epochs, "finetuned": settings.finetune_epochs}


def train(
    training: Training, train: Examples, test: Examples, settings: DrSAESettings
) -> tuple[Network, Network]:
    """The network before and after labels."""
    s, inputs = settings, train.inputs.flatten(1)
    assert train.labels is not None  # as check_labels has seen
    labels = train.labels
    first = training.generator("first weights")
    coder, head = made(s, inputs.shape[1], classes(train), first)
    adam = torch.optim.Adam(coder.parameters(), s.pretrain_rate)
    coder.bound(adam)
    alone = Falling(Autoencoding(coder, adam, l1=s.l1), s.pretrain_epochs)
    training.run("pretrained", alone, lambda: (inputs,), batch=s.batch)
    before = copy.deepcopy((coder, head))
    groups: list[dict[str, Any]] = [
        {"params": list(coder.parameters()), "lr": s.finetune_rate},
        {"params": list(head.parameters()), "lr": s.head_rate},
    ]
    adam = torch.optim.Adam(groups)
    coder.bound(adam)
    MaxNorm(head, CLASS_ROWS).attach(adam)
    both = DiscriminativeCoding(coder, head, adam, weight=s.weight, l1=s.l1)
    learned = Falling(both, s.finetune_epochs)
    training.run("finetuned", learned, lambda: (inputs, labels), batch=s.batch)
    told = (
        f"{counted(s.pretrain_epochs, 'epoch')} of Adam on reconstruction and sparsity at rate "
        f"{s.pretrain_rate:g} falling to 0, on the {train.source}"
    )
    more = (
        f"trained as before, then {counted(s.finetune_epochs, 'epoch')} of Adam on these and the "
        f"cross-entropy at rate {s.finetune_rate:g} falling to 0"
    )
    untold = "test error (output layer not trained yet)"
    return (
        network("pretrained", before, told, test, untold),
        network("finetuned", (coder, head), more, test, "test error"),
    )


def network(
    name: str, parts: tuple[DrSAE, nn.Sequential], told: str, test: Examples, label: str
) -> Network:
    """With its figures: error, reconstruction, sparsity, alignment."""
    coder, head = parts
    model = drsae.classifier(coder, head).eval()
    clean = test.inputs.flatten(1)
    with torch.no_grad():
        z = torch.cat([coder(part) for part in clean.split(1000)])
        losses = coder.error(z, clean)
    facts = [
        error_fact(model, test, label),
        mean_fact(losses, "half the squared error of reconstruction", "", test.noun),
        mean_fact((z > 0).sum(1).double(), "units that are on", "", test.noun),
        *alignment_facts(coder, head),
    ]
    return Network(name, model, told, facts, coder)


def alignment_facts(coder: DrSAE, head: nn.Sequential) -> list[dict[str, Any]]:
    """Units whose encoder and decoder are apart, and how much the classifier listens to them."""
    aligned = coder.alignment()
    apart = aligned < ALIGNED
    lengths = heard(head)

    def fact(label: str, value: Tensor, what: str) -> dict[str, Any]:
        return {
            "label": label, "value": float(value), "spread": None, "spread_kind": what, "unit": ""
        }  # fmt: skip

    found = [
        fact("median cosine of encoder and decoder", aligned.median(), f"{len(aligned)} units"),
        fact(f"units with a cosine below {ALIGNED}", apart.sum(), "categorical units"),
    ]
    for label, some in (("categorical", apart), ("part", ~apart)):
        if some.any():
            what = f"mean length over {counted(int(some.sum()), 'unit')}"
            found.append(fact(f"classifier weights of {label} units", lengths[some].mean(), what))
    return found


@torch.no_grad()
def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: DrSAESettings,
    generator: torch.Generator,
) -> list[Picture | Lines]:
    """Units by alignment, as points and as filters, and codes decoded step by step."""
    last = networks[-1]
    assert isinstance(last.origin, DrSAE)
    found: list[Picture | Lines] = [units(last.origin, last.model)]
    for network in networks:
        coder = network.origin
        assert isinstance(coder, DrSAE)
        found += filters_by_alignment(coder, network.name, test)
        given = test.inputs[:COLUMNS].flatten(1)
        codes = coder.over_time(given)
        rows = {"input": given}
        for step in (*(t for t in TIMES if t < coder.steps), coder.steps):
            rows[counted(step, "step")] = coder.decoded(codes[step - 1])
        caption = "First test examples, and what the code gives back after some steps."
        found += rows_of(f"Reconstructions, {network.name}", caption, rows, test)
    return found


def units(coder: DrSAE, model: nn.Module) -> Lines:
    """Each unit by its alignment and by how much the classifier listens to it."""
    aligned, lengths = coder.alignment(), heard(model)
    groups = {}
    for kind, some in (
        ("part units", aligned >= ALIGNED),
        ("categorical units", aligned < ALIGNED),
    ):
        if some.any():
            groups[kind] = (aligned[some].tolist(), lengths[some].tolist())
    caption = (
        "A point for each unit. Part units undo in the decoder what they see in the encoder; units "
        f"with a cosine below {ALIGNED} are driven by other units. One cloud across that limit "
        "means that the two kinds have not parted."
    )
    return Lines(
        "Part and categorical units",
        caption,
        "cosine of a unit's encoder and decoder",
        "length of its weights to the classes",
        groups,
        (0.0,),
        joined=False,
    )


def heard(model: nn.Module) -> Tensor:
    """Length of each unit's weights to the classes, ``(units,)``."""
    output = model.get_submodule("output")
    assert isinstance(output, nn.Linear)
    return output.weight.detach().norm(dim=0)


def filters_by_alignment(coder: DrSAE, name: str, test: Examples) -> list[Picture]:
    """Rows of the encoder and columns of the decoder, each scaled by itself, sorted by cosine."""
    aligned = coder.alignment()
    order = aligned.argsort()
    some = min(COLUMNS, len(order))
    rows = {}
    for word, part in (("least", order[:some]), ("most", order.flip(0)[:some])):
        for kind, weight in (("encoder", coder.encoder), ("decoder", coder.decoder)):
            picked = weight[part]
            rows[f"{kind}, {word} aligned"] = picked / picked.abs().amax(1, keepdim=True).clamp(
                min=1e-30
            )
    ends = aligned[order[[0, some - 1, -some, -1]]].tolist()
    caption = (
        f"Units whose encoder and decoder are least alike (cosine {ends[0]:.2f} to {ends[1]:.2f}: "
        f"categorical units, where labels made them) and most alike ({ends[2]:.2f} to "
        f"{ends[3]:.2f}: part units). Each filter is scaled by itself."
    )
    return rows_of(f"Filters by alignment, {name}", caption, rows, test, (-1.0, 1.0))


ENTRY = Recipe(
    settings=DrSAESettings(),
    examples=digits_from,
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=lambda _: ("hidden", "output"),
    pictures=pictures,
)
