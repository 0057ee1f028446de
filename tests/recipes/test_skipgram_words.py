"""What is special to the recipe ``skipgram-words``: its text, analogies, and what its facts say."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from torch.testing import assert_close

from nakami import recipes
from nakami.data import Text, word_pairs
from nakami.recipes import _word_facts as word_facts
from nakami.recipes import skipgram_words as recipe
from nakami.recipes._made_words import PARTS, STEMS, known_analogies, own_words, parted_words
from nakami.recipes._texts import as_text
from nakami.results import UsageError
from nakami.training import Training
from nakami.zoo.skipgram import SkipGram, expected_loss, noise

SMALL = replace(recipe.SkipGramSettings(), epochs=1)


def test_made_sentences_have_a_name_between_words_of_its_stem_and_of_its_part():
    train, test = recipe.by_words(*parted_words(), SMALL)
    text = as_text(test, "words")
    lines = [line.split() for line in text.spelled(text.ids).splitlines()[:-1]]
    assert len(lines) > 750
    for line in lines:
        stem = next(s for s in STEMS if line[3].startswith(s) and line[3][len(s) :] in PARTS)
        assert set(line[:3:2]) <= set(own_words(stem))
        assert set(line[4::2]) <= set(PARTS[line[3][len(stem) :]])
    unknown = train.classes.index("<unk>")  # a word that the last block cuts
    assert int((train.inputs == unknown).sum()) <= 1


def test_known_analogies_are_all_pairs_of_stems_and_parts():
    sections = known_analogies()
    questions = [q for section in sections.values() for q in section]
    assert len(questions) == len(set(questions)) == 12 * 11 * 4 * 3
    assert list(sections)[:2] == ["land and city", "land and folk"]
    assert ("arland", "arcity", "belland", "belcity") in questions


def test_pairs_stay_within_lines_and_ends_are_no_words():
    text = Text.of("a b\nc d\n" * 20, "words")
    words, around = recipe.pairs_of(text, replace(SMALL, window=5), 0)
    pairs = {(text.kinds[w], text.kinds[c]) for w, c in zip(words.tolist(), around.tolist(),
                                                            strict=True)}  # fmt: skip
    assert pairs == {("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")}
    counts = word_facts.counts_of(text)
    assert {text.kinds[i]: int(n) for i, n in enumerate(counts)} == {
        "<eos>": 0, "a": 20, "b": 20, "c": 20, "d": 20
    }  # fmt: skip


def random_net(words=5, width=3):
    net = SkipGram(words, width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        net.embedding.weight.normal_(generator=torch.Generator().manual_seed(2))
        net.scores.weight.normal_(generator=torch.Generator().manual_seed(3))
    return net


def test_the_loss_of_a_test_text_is_near_its_expectation_with_the_error_of_repeats():
    """Subjects of forty words each, in which single pairs are far from independent."""
    g, net, counts = torch.Generator().manual_seed(0), random_net(), torch.tensor([9, 4, 0, 1, 6])
    kinds, asked = tuple("abcde"), word_facts.Asked(3, None, 3)

    def text():
        subject = torch.randint(2, (50, 1), generator=g)
        return Text(
            (3 * subject + torch.randint(2, (50, 40), generator=g)).flatten(), kinds, "words"
        )

    facts = [word_facts.loss_fact(net, counts, text(), asked, g)[0] for _ in range(40)]
    values = torch.tensor([fact["value"] for fact in facts])
    spread = torch.tensor([fact["spread"] for fact in facts]).mean()
    assert float(spread / values.std()) == pytest.approx(1, abs=0.3)  # of 40 repeats: 11 %
    whole = torch.cat([text().ids for _ in range(10)])
    joint = torch.zeros(5, 5).index_put_(word_pairs(whole, 3), torch.ones(()), accumulate=True)
    scores = net.word_vectors @ net.context_vectors.T
    wanted = float(expected_loss(scores.detach().double(), joint, noise(counts), 3))
    assert abs(float(values.mean()) - wanted) < 4 * float(values.std()) / 10**0.5


def test_a_test_text_is_thinned_out_by_the_frequencies_of_the_other():
    counts, g = torch.tensor([10_000, 100, 0]), torch.Generator().manual_seed(0)
    net = SkipGram(3, 2, generator=g)
    with torch.no_grad():
        net.embedding.weight.copy_(torch.eye(2)[[0, 1, 1]])
        net.scores.weight.copy_(4 * torch.eye(2)[[0, 1, 1]])
    text = Text(torch.tensor([0, 0, 1, 2] * 500), ("a", "b", "c"), "words")

    def loss(thin):
        return word_facts.loss_fact(net, counts, text, word_facts.Asked(1, thin, 1), g)[0]["value"]

    alone = Text(torch.tensor([1, 2] * 500), ("a", "b", "c"), "words")
    rare = word_facts.loss_fact(net, counts, alone, word_facts.Asked(1, None, 1), g)[0]
    assert abs(loss(1e-6) - rare["value"]) < 0.1 < abs(loss(None) - rare["value"])


def test_a_test_text_without_a_pair_has_no_loss():
    text = Text(torch.tensor([0]), ("a", "b"), "words")
    asked = word_facts.Asked(3, None, 3)
    assert word_facts.loss_fact(random_net(2), torch.ones(2), text, asked, torch.Generator()) == []


def test_rank_and_correlation_are_those_of_dense_matrices():
    g, net = torch.Generator().manual_seed(0), random_net()
    pairs = (torch.randint(5, (800,), generator=g), torch.randint(4, (800,), generator=g))
    counts = torch.bincount(pairs[0], minlength=5)
    rank, follows = word_facts.matrix_facts(net, pairs, counts)
    s = np.linalg.svd(net.word_vectors.detach().double().numpy(), compute_uv=False)
    assert rank["value"] == pytest.approx((s**2).sum() ** 2 / (s**4).sum())
    joint = np.zeros((5, 5))
    np.add.at(joint, tuple(p.numpy() for p in pairs), 1)
    seen = joint >= 10
    p = joint / joint.sum()
    chances = counts.numpy() ** 0.75 / (counts.numpy() ** 0.75).sum()
    with np.errstate(divide="ignore"):
        pmi = np.log(p / (p.sum(1, keepdims=True) * chances))
    scores = (net.word_vectors @ net.context_vectors.T).detach().double().numpy()
    assert follows["value"] == pytest.approx(np.corrcoef(pmi[seen], scores[seen])[0, 1])


def test_analogies_of_a_file_are_asked_and_unknown_words_left_out(tmp_path):
    text = Text.of("king queen man woman far " * 3, "words")
    net = SkipGram(5, 4)
    rows = dict(zip(("king", "queen", "man", "woman"),
                    torch.tensor([[1.0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0]]),
                    strict=True))  # fmt: skip
    with torch.no_grad():
        net.embedding.weight.copy_(
            torch.stack([rows.get(k, torch.tensor([0.0, 0, 0, -1])) for k in text.kinds])
        )
    file = tmp_path / "q.txt"
    file.write_text(": a\nman king woman queen\nking queen man woman\n: b\nman king woman nobody\n")
    found = recipe.analogies_of(net, text.kinds, str(file))
    assert {name: (of.right.tolist(), of.given) for name, of in found.items()} == {
        "a": ([True, True], 2)
    }
    (fact,) = word_facts.analogy_facts(found, 5)
    assert fact["value"] == 100
    assert "4 word pairs all alike" in fact["spread_kind"]
    (table,) = word_facts.analogy_table(found, 5)
    assert table.rows == (("a", "2 of 2", "100, at least 75"),)
    assert recipe.analogies_of(net, text.kinds, "") == {}  # none of the made names is there
    assert word_facts.analogy_facts({}, 5) == word_facts.analogy_table({}, 5) == []


def test_words_are_asked_in_small_letters_too_and_rare_words_and_ends_are_no_answers():
    kinds = ("<unk>", "<eos>", "king", "queen", "man", "woman")
    net = SkipGram(6, 3)
    with torch.no_grad():
        net.embedding.weight.copy_(
            torch.tensor([[1.0, 0, 1], [1, 0, 1], [1, 1, 0], [1, 0, 0.5], [0, 1, 0], [0, 0, 1]])
        )
    words = word_facts.vectors_of(net, kinds)
    assert words.names == kinds[2:]
    asked = {"a": [("Man", "King", "Woman", "Queen")]}
    assert word_facts.answers(words, asked)["a"].right.tolist() == [True]


def test_analogies_of_the_made_text_are_learned(tmp_path):
    run = Training(tmp_path, {"seed": 0}, recipe.epochs(replace(SMALL, epochs=3)))
    examples = recipe.by_words(*parted_words(), SMALL)
    (network,) = recipe.train(run, *examples, replace(SMALL, epochs=3))
    facts = {fact["label"]: fact["value"] for fact in network.facts}
    assert facts["analogies right"] > 95
    assert facts["correlation of scores with mutual information"] > 0.9
    assert list(network.times) == ["start", "epoch 1", "epoch 2", "epoch 3"]
    shown = recipe.pictures([network], examples[1], SMALL, torch.Generator())
    assert list(shown[0].lines) == [*(f"words, {time}" for time in network.times), "around"]
    values = np.array(shown[0].lines["words, epoch 3"][1])
    assert_close(
        torch.tensor(values),
        torch.linalg.svdvals(network.model.word_vectors.detach().double()),
    )
    first, last = (network.times[time]["embedding.weight"].numpy() for time in ("start", "epoch 3"))
    bases = [np.linalg.svd(np.float64(part))[0][:, :5] for part in (first, last)]
    wanted = np.rad2deg(scipy.linalg.subspace_angles(*bases))[::-1]
    drift = {name: (x, y[0]) for name, (x, y) in shown[1].lines.items()}
    assert [y for _, y in drift.values()] == pytest.approx(wanted, abs=1e-4)
    assert list(drift) == ["smallest", "2nd", "3rd", "4th", "largest"]
    assert drift["largest"][0] == (0, 1, 2, 3)
    near = dict(shown[2].rows)
    stem = next(word for word in near if word[:-1] in STEMS or word[:-2] in STEMS)
    owner = next(s for s in STEMS if stem in own_words(s))
    assert sum(word in own_words(owner) for word in near[stem].split(", ")) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b c\n", "line 1 of .*asked.txt must hold four words, got 3"),
        ("", "asked.txt must hold questions, got none"),
    ],
)
def test_questions_of_another_form_are_refused_before_anything_is_trained(tmp_path, text, message):
    asked = tmp_path / "asked.txt"
    asked.write_text(text)
    settings = replace(SMALL, questions=str(asked))
    with pytest.raises(UsageError, match=message):
        recipes.prepare("skipgram-words", tmp_path / "out", settings=settings)
    assert not (tmp_path / "out").exists()


def test_thinned_out_to_nothing_names_the_setting():
    text = Text.of("a b c a b c a b c a b c", "words")
    settings = replace(recipe.ENTRY.settings, thin=1e-12)
    with pytest.raises(UsageError, match="thin must leave words beside each other, got 1e-12"):
        recipe.pairs_of(text, settings, 0)
