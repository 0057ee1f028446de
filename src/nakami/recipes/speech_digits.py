"""Words by a deep network in place of the mixtures of a hidden Markov model (CD-DNN-HMM).

A GMM-HMM is fitted to cepstra and aligns its states to the frames. A stack of machines, the lowest
with Gaussian units, learns windows of 11 frames; the network that starts from it learns the aligned
states by back-propagation. Words are decoded with scaled likelihoods, the posteriors less the
priors of the states. The network aligns anew and learns on; beside it stands one from random first
weights. By default words and speakers are made from a seed (``data.spoken_words``).

Origin: Seide, Li & Yu, INTERSPEECH 2011; Dahl, Yu, Deng & Acero, IEEE Transactions on Audio, Speech
and Language Processing 20 (2012). Deliberate differences: states of whole words in place of
triphones, three layers in place of seven, cepstra alone.

Published: word errors of 27.4 % by the GMM-HMM and 18.5 % by the network on RT03S (Fisher part),
23.6 and 16.1 % on Hub5'00 (Switchboard), as a survey's table has them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn

from nakami import speech
from nakami.data import Examples
from nakami.training import ContrastiveDivergence, Supervised, Training
from nakami.zoo._perceptron import perceptron
from nakami.zoo._stack import classifier_of
from nakami.zoo.gaussian_rbm import GaussianRBM
from nakami.zoo.rbm import RBM

from ..results import Lines, Picture, counted
from ._examples import classes
from ._recordings import CONTEXT, parts_of, recordings_from, windows_of
from ._settings import POSITIVE, Bounds
from ._speech import alignments, confusion, network_facts, word_fact
from ._stacked import StackedSettings, stacked, stages
from ._subject import Network, Recipe

INPUTS, SLOWER, SHOWN = 11 * 39, 10, 20  # values of a window; a Gaussian machine's rate; filters


@dataclass(frozen=True)
class SpeechSettings(StackedSettings):
    """As ``StackedSettings``; the lowest machine learns at a tenth of the rate.

    Attributes:
        states: Of each word, from left to right.
        silence: States of silence.
        mixed: Gaussians of a state of the GMM-HMM, a power of two.
        rounds: Of its fitting and aligning.
        finetune_epochs: Passes by the states that the GMM-HMM has aligned.
        realign_epochs: Passes by the states that the network has aligned.
    """

    hidden: Annotated[tuple[int, ...], Bounds(1)] = (128, 128, 128)
    states: Annotated[int, Bounds(1)] = 5
    silence: Annotated[int, Bounds(1)] = 1
    mixed: Annotated[int, Bounds(1)] = 2
    rounds: Annotated[int, Bounds(1)] = 3
    pretrain_epochs: int = 3
    pretrain_rate: Annotated[float, POSITIVE] = 0.05
    finetune_epochs: int = 4
    realign_epochs: int = 2


def epochs(settings: SpeechSettings) -> Mapping[str, int]:
    """From random weights; one phase for each machine; from these; by the network's alignment."""
    layers = {f"layer{i}": settings.pretrain_epochs for i in range(1, len(settings.hidden) + 1)}
    passes = settings.finetune_epochs
    return {"random": passes, **layers, "pretrained": passes, "realigned": settings.realign_epochs}


def random_start(sizes: Sequence[int], generator: torch.Generator | None = None) -> nn.Sequential:
    """Sigmoid layers, weights of variance ``32 / (inputs + outputs)`` (Glorot & Bengio 2010)."""
    net = perceptron(sizes, nn.Sigmoid, None, generator)
    with torch.no_grad():
        for name, linear in net.named_children():
            if isinstance(linear, nn.Linear) and name != "output":
                outputs, inputs = linear.weight.shape
                linear.weight.mul_(4 * (inputs / (inputs + outputs)) ** 0.5)
    return net


def untrained(settings: SpeechSettings) -> nn.Sequential:
    """The network with first weights, in evaluation mode."""
    words, _ = recordings_from(None)
    return random_start((INPUTS, *settings.hidden, _lexicon(settings, words).senones)).eval()


def _lexicon(settings: SpeechSettings, train: Examples) -> speech.Lexicon:
    n = classes(train)
    words = train.classes if len(train.classes) == n else tuple(map(str, range(n)))
    return speech.Lexicon.untied(words, settings.states, settings.silence)


def gmm_hmm(train: Examples, settings: SpeechSettings) -> speech.GMMHMM:
    """The GMM-HMM, from equal parts of each recording on."""
    features, counts, labels = parts_of(train)
    lexicon = _lexicon(settings, train)
    start = speech.flat_start(counts, labels, lexicon)
    s = settings
    return speech.GMMHMM.fit(
        features, counts, labels, lexicon, start, mixed=s.mixed, rounds=s.rounds
    )


def train(
    training: Training, train: Examples, test: Examples, settings: SpeechSettings
) -> tuple[Network, Network, Network]:
    """From random weights, from machines, and by the alignment of the latter."""
    s, n = settings, _lexicon(settings, train).senones
    features, counts, labels = parts_of(train)
    gmm, rows = gmm_hmm(train, s), speech.windows(features, counts, CONTEXT).flatten(1)
    first = word_fact(gmm.scores(*parts_of(test)[:2]), gmm.hmm, test, "word error of the GMM-HMM")
    priors = speech.log_priors(gmm.states, n)
    sizes, begin = (rows.shape[1], *s.hidden, n), training.generator("first weights")
    nets = {"random": random_start(sizes, begin)}
    _learn(training, "random", nets["random"], rows, gmm.states, s)
    nets["pretrained"] = classifier_of(_machines(training, rows, s), n, generator=begin)
    _learn(training, "pretrained", nets["pretrained"], rows, gmm.states, s)
    scores = speech.network_scores(nets["pretrained"], features, counts, CONTEXT, priors)
    states, stays = speech.realigned(scores, counts, gmm.hmm, labels, n)
    nets["realigned"] = copy.deepcopy(nets["pretrained"])
    _learn(training, "realigned", nets["realigned"], rows, states, s)
    again = speech.grammar(_lexicon(s, train), stays), speech.log_priors(states, n)
    by = f"{counted(s.finetune_epochs, 'epoch')} of gradient descent on the states of the GMM-HMM"
    layers = f"{len(s.hidden)} machines, one on the other, CD-1 for {s.pretrain_epochs} epochs each"
    said = {
        "random": f"from random weights, {by}",
        "pretrained": f"from {layers}, then {by}",
        "realigned": f"from {layers}, then {by}, then {s.realign_epochs} on its own alignment",
    }
    found = []
    for name, net in nets.items():
        hmm, taken = again if name == "realigned" else (gmm.hmm, priors)
        facts = network_facts(net, hmm, taken, test)
        origin = _Recogniser(net, gmm, hmm, taken)
        found.append(Network(name, net.eval(), said[name], [*facts, first], origin))
    return found[0], found[1], found[2]


class _Recogniser(nn.Module):
    """A network with the model that it decodes with, for pictures."""

    def __init__(self, net: nn.Module, gmm: speech.GMMHMM, hmm: speech.HMM, priors: Tensor):
        super().__init__()
        self.net, self.gmm, self.hmm, self.priors = net, gmm, hmm, priors

    def scores(self, examples: Examples) -> Tensor:
        """Scaled log-likelihoods of recordings."""
        features, counts, _ = parts_of(examples)
        return speech.network_scores(self.net, features, counts, CONTEXT, self.priors)


def _machines(training: Training, rows: Tensor, settings: SpeechSettings) -> nn.ModuleList:
    """Pre-trained, the lowest with Gaussian units."""
    g, sizes = training.generator("machines"), settings.hidden
    machines = nn.ModuleList([GaussianRBM(rows.shape[1], sizes[0], generator=g)])
    machines.extend(RBM(a, b, generator=g) for a, b in pairwise(sizes))

    def learner(machine: nn.Module) -> ContrastiveDivergence:
        assert isinstance(machine, RBM)
        slower = SLOWER if isinstance(machine, GaussianRBM) else 1
        return ContrastiveDivergence(machine, rate=settings.pretrain_rate / slower)

    stacked(training, rows, list(machines), learner, settings.batch)
    return machines


def _learn(
    training: Training,
    phase: str,
    net: nn.Module,
    rows: Tensor,
    states: Tensor,
    settings: SpeechSettings,
) -> None:
    """Back-propagation through all layers, by the frames whose state is known."""
    known = states >= 0
    descent = torch.optim.SGD(net.parameters(), settings.finetune_rate, settings.momentum)
    method = Supervised(net, descent)
    training.run(phase, method, lambda: (rows[known], states[known]), batch=settings.batch)


def measured(networks: Sequence[Network], test: Examples) -> tuple[Sequence[Network], Examples]:
    """The networks at the window in the middle of each recording."""
    return networks, windows_of(test)


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: SpeechSettings,
    generator: torch.Generator,
) -> list[Picture | Lines]:
    """An alignment, words taken for others, and weights of the first layer."""
    last = networks[-1].origin
    assert isinstance(last, _Recogniser)
    scores = last.scores(test)
    of_mixtures = last.gmm.scores(*parts_of(test)[:2])
    by = {"GMM-HMM": (of_mixtures, last.gmm.hmm), "network": (scores, last.hmm)}
    first = networks[-1].model.get_submodule("linear1")
    assert isinstance(first, nn.Linear)
    weights = first.weight.detach()[:SHOWN].reshape(-1, 2 * CONTEXT + 1, INPUTS // 11)
    caption = (
        "Weights of the first units, time from left to right; from above 13 cepstra, their slopes, "
        "the slopes of these."
    )
    return [
        *alignments(by, test),
        *confusion(scores, last.hmm, test),
        Picture("Filters of the first layer", caption, weights.transpose(1, 2), None),
    ]


ENTRY = Recipe(
    settings=SpeechSettings(),
    examples=recordings_from,
    takes="a folder with a folder of WAV files for each word",
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    dtype=torch.float64,  # as for deep belief nets: small values of a third layer
    measured=measured,
    pictures=pictures,
)
