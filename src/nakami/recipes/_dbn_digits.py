"""The default subject: a deep belief network on digits, before and after fine-tuning.

Three hidden layers of 1,000 sigmoid units, trained layer by layer as RBMs, then with a softmax
output by back-propagation: the network of the 2015 report on the dynamics of deep networks, on the
sample of MNIST that is shipped (or on the full files). Both networks are measured at the same test
digits.
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nakami import data as readers
from nakami.data import Examples
from nakami.results import Progress, Work, wrong
from nakami.zoo.dbn import DBN

from ._phases import Phases, finished, one_thread, phase_generator
from ._subject import Network, Subject
from ._supervised import error_fact, train_classifier

NAME = "dbn-digits"


@dataclass(frozen=True)
class DBNSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        hidden: Units of each hidden layer.
        pretrain_epochs: Passes of each RBM. pretrain_rate: its learning rate (CD-1; momentum 0.5,
            from epoch 5 on 0.9; weight decay 2e-4).
        finetune_epochs: Passes of the classifier. finetune_rate, momentum: of its gradient descent.
        batch: Examples of one update, in both.
    """

    hidden: tuple[int, ...] = (1000, 1000, 1000)
    pretrain_epochs: int = 20
    pretrain_rate: float = 0.1
    finetune_epochs: int = 20
    finetune_rate: float = 0.1
    momentum: float = 0.9
    batch: int = 100


def prepare_dbn(
    folder: Path,
    train: Examples,
    test: Examples,
    *,
    n_inputs: int = 16,
    seed: int = 0,
    settings: DBNSettings | None = None,
    progress: Progress | None = None,
) -> Subject:
    """Train the network, or read back the phases that the folder holds already."""
    settings = settings or DBNSettings()
    if not 1 <= n_inputs <= len(test):
        raise wrong(
            "n_inputs",
            f"lie between 1 and {len(test)}",
            n_inputs,
            f"pass a number up to {len(test)}",
        )
    phases = Phases(folder, _record(train, seed, settings))
    *names, _ = _phase_names(settings)
    epochs = {
        **dict.fromkeys(names, settings.pretrain_epochs),
        "finetuned": settings.finetune_epochs,
    }
    todo = [name for name, count in epochs.items() if not phases.has(name) for _ in range(count)]
    work = Work(todo, progress)
    start = pretrained(phases, names, train, settings, seed, work)
    tuned = finetuned(phases, start, train, settings, work)
    with one_thread():  # a fact is kept in the run, so the number of threads may not show in it
        facts = [error_fact(net, test) for net in (start, tuned)]
    facts[0]["label"] += " (output layer not trained yet)"
    before, after = sentences(settings, train)
    networks = (
        Network("pretrained", start, before, [facts[0]]),
        Network("finetuned", tuned, after, [facts[1]]),
    )
    return _subject(networks, test[:n_inputs], settings)


def trained_dbn(
    folder: Path, train: Examples, seed: int = 0, settings: DBNSettings | None = None
) -> bool:
    """Whether the folder holds this training, finished."""
    settings = settings or DBNSettings()
    return finished(folder, _record(train, seed, settings), _phase_names(settings))


def _record(train: Examples, seed: int, settings: DBNSettings) -> dict[str, Any]:
    """All that decides the weights."""
    return {"recipe": NAME, "seed": seed, **asdict(settings), "data": fingerprint(train)}


def _phase_names(settings: DBNSettings) -> list[str]:
    return [*(f"layer{i}" for i in range(1, len(settings.hidden) + 1)), "finetuned"]


def preview_dbn(settings: DBNSettings | None = None) -> Subject:
    """The subject as it will be asked for, with one untrained network and one test digit."""
    settings = settings or DBNSettings()
    test = readers.digits("test")[:1]
    model = DBN((test.inputs[0].numel(), *settings.hidden)).classifier().eval()
    return _subject((Network("untrained", model, "not trained", []),), test, settings)


def _subject(networks: tuple[Network, ...], inputs: Examples, settings: DBNSettings) -> Subject:
    stages = tuple(f"hidden{i}" for i in range(1, len(settings.hidden) + 1))
    # In float32 a third layer's small values lie below the floor of the arithmetic.
    return Subject(NAME, networks, inputs, stages, torch.float64)


def pretrained(
    phases: Phases,
    names: list[str],
    train: Examples,
    settings: DBNSettings,
    seed: int,
    work: Work,
) -> nn.Sequential:
    """The classifier as pre-training leaves it: one phase for each RBM, output layer at random."""
    pixels = train.inputs.flatten(1)
    sizes = (pixels.shape[1], *settings.hidden)
    dbn = DBN(sizes, generator=phase_generator(seed, "first weights"))
    for i, name in enumerate(names):

        def learn(generator: torch.Generator, i: int = i, name: str = name) -> dict[str, Tensor]:
            dbn.fit_layer(
                i,
                pixels,
                epochs=settings.pretrain_epochs,
                batch=settings.batch,
                rate=settings.pretrain_rate,
                generator=generator,
                progress=lambda *_: work.done(f"pre-training {name}", name),
            )
            return dbn.rbms[i].state_dict()

        dbn.rbms[i].load_state_dict(phases.run(name, learn))
    return dbn.classifier(generator=phase_generator(seed, "output")).eval()


def finetuned(
    phases: Phases, start: nn.Sequential, train: Examples, settings: DBNSettings, work: Work
) -> nn.Sequential:
    """A copy of the classifier after back-propagation through all layers."""
    model = clone(start)

    def learn(generator: torch.Generator) -> dict[str, Tensor]:
        assert train.labels is not None  # both readers of digits give labels
        train_classifier(
            model,
            train.inputs,
            train.labels,
            epochs=settings.finetune_epochs,
            generator=generator,
            batch=settings.batch,
            rate=settings.finetune_rate,
            momentum=settings.momentum,
            after_epoch=lambda *_: work.done("fine-tuning", "finetuned"),
        )
        return model.state_dict()

    model.load_state_dict(phases.run("finetuned", learn))
    return model.eval()


def digits_from(folder: str | Path | None) -> tuple[Examples, Examples]:
    """Training and test digits: shipped, or the MNIST files of a folder."""
    if folder is None:
        return readers.digits("train"), readers.digits("test")
    return readers.mnist(folder, "train"), readers.mnist(folder, "test")


def clone(model: nn.Sequential) -> nn.Sequential:
    """A copy with weights of its own."""
    return copy.deepcopy(model)


def fingerprint(examples: Examples) -> dict[str, str | int]:
    """What identifies training data: number, and hash of inputs and labels."""
    digest = hashlib.sha256(examples.inputs.numpy().tobytes())
    digest.update(b"" if examples.labels is None else examples.labels.numpy().tobytes())
    return {"examples": len(examples), "sha256": digest.hexdigest()[:16]}


def sentences(settings: DBNSettings, train: Examples) -> tuple[str, str]:
    """One sentence on the training of each network."""
    before = (
        f"{len(settings.hidden)} RBMs, one on the other, CD-1 for {settings.pretrain_epochs} "
        f"epochs each at rate {settings.pretrain_rate} on the {train.source}; output layer random"
    )
    after = (
        f"pre-trained as before, then {settings.finetune_epochs} epochs of gradient descent on the "
        f"cross-entropy at rate {settings.finetune_rate}, momentum {settings.momentum}"
    )
    return before, after
