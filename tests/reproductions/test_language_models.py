"""N-grams against NLTK's own, and how figures of texts are counted."""

import math

import pytest
import torch

from nakami.data import Text

WORDS = ["the cat sat on the mat", "the dog sat on the cat", "a cat saw a dog", "on on the"]
TEXT = " <eos> ".join(WORDS * 3).split()


@pytest.fixture(scope="module")
def ngrams(reproduction):
    pytest.importorskip("nltk", reason="n-grams come with the extra language")
    return reproduction("_ngrams")


@pytest.fixture(scope="module")
def script(reproduction):
    return reproduction("language_models")


@pytest.mark.parametrize("order", [2, 3, 4])
def test_tables_give_what_nltk_sums_up(ngrams, order):
    from nltk.lm.models import InterpolatedLanguageModel
    from nltk.lm.smoothing import KneserNey

    ours = ngrams.fitted(TEXT, order, 0.7)
    theirs = InterpolatedLanguageModel(
        KneserNey, order, vocabulary=ours.vocab, params={"order": order, "discount": 0.7}
    )
    theirs.counts = theirs.estimator.counts = ours.counts
    text = ("<s>",) * (order - 1) + ("the", "dog", "saw", "the", "mat", "on", "on", "a", "cat")
    for i in range(order - 1, len(text)):
        context = text[i - order + 1 : i]
        score = theirs.unmasked_score(text[i], context)
        assert ours.unmasked_score(text[i], context) == pytest.approx(score, rel=1e-12)


def test_probabilities_of_all_words_sum_to_one(ngrams):
    model = ngrams.fitted(TEXT, 3, 0.7)
    for context in (("the", "cat"), ("on", "the"), ("mat", "a"), ("<s>", "<s>")):
        total = sum(model.unmasked_score(word, context) for word in set(TEXT))
        assert total == pytest.approx(1, abs=1e-12)


def test_a_text_is_judged_place_by_place(ngrams):
    model = ngrams.fitted(TEXT, 2, 0.7)
    found = ngrams.log_probs(model, ["the", "cat"])
    wanted = [model.unmasked_score("the", ("<s>",)), model.unmasked_score("cat", ("the",))]
    assert found.exp().tolist() == pytest.approx(wanted)


def test_a_net_is_asked_for_all_places_but_the_first_of_each_piece(script):
    text = Text.of("abcabdacb" * 60)
    net = script.RecurrentLM(len(text.kinds), 5, 1, "gru", dtype=torch.float64)
    found = script.of_net(net, text)
    pieces = text.ids[: 20 * 27].view(20, 27)
    features, _ = net.unroll(pieces[:, :-1])
    wanted = net.output(features).log_softmax(-1).gather(2, pieces[:, 1:, None])[..., 0]
    assert torch.allclose(found, wanted, atol=1e-12)
    nats, error = script.figure(found)
    assert nats == pytest.approx(-float(wanted.detach().mean()), rel=1e-3)
    assert 0 < error < 1


def test_a_mixture_is_one_of_probabilities(script):
    one, other = torch.tensor([0.5, 0.1]).log(), torch.tensor([0.1, 0.3]).log()
    found = script._mixed(one, other, 0.25).exp().tolist()
    assert found == pytest.approx([0.25 * 0.5 + 0.75 * 0.1, 0.25 * 0.1 + 0.75 * 0.3])


def test_a_grown_net_has_its_layers_and_learns(script):
    text = Text.of("abcd" * 200)
    task = script.Task("characters", {}, 8, 4, 20, 3, 1, (), 60)
    net, losses = script.trained(task, script.Net("tanh", 3, grown=True, rate=0.05), text, 0)
    assert net.names == ["layer1", "layer2", "layer3"]
    assert len(losses) == 3
    assert losses[-1] < math.log(4) / 2
    looked = script.looked_into(net, task, text)
    assert len(looked["scales"]) == len(looked["exponents"]) == 3
