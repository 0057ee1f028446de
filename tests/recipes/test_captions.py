"""What is special to the recipe ``captions``: four phases, what is held, figures, the joint."""

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from nakami import data, recipes
from nakami.recipes import _caption_pictures as page
from nakami.recipes import _captions as helpers
from nakami.recipes import captions as recipe
from nakami.recipes._facts import ratio_of_sums
from nakami.results import Picture, Texts, UsageError
from nakami.training import Training

SMALL = replace(
    recipe.CaptionSettings(), hidden=8, trunk_epochs=1, language_epochs=2, frozen_epochs=2,
    finetune_epochs=1,
)  # fmt: skip


def few(n=100, tested=30):
    train, test = helpers.captions_from(None)
    return helpers.numbered(train[:n], test[:tested], 1)


def trained(folder, settings=SMALL, progress=None):
    run = Training(folder, {"seed": 0}, recipe.epochs(settings), progress=progress)
    return recipe.train(run, *few(), settings)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("captions"))


def test_both_parts_are_held_while_the_projection_learns(networks, tmp_path):
    frozen, whole = (network.model for network in networks)
    run = Training(tmp_path, {"seed": 0}, recipe.epochs(SMALL))
    net, alone = recipe.made(few()[0], SMALL, run.generator("first weights"))
    first = alone.projection.weight.clone()
    recipe.apart(run, net, alone.language, few()[0], SMALL)
    for part in ("trunk", "language"):
        states = [getattr(m, part).state_dict() for m in (alone, frozen, whole)]
        for name, value in states[0].items():
            assert torch.equal(value, states[1][name]), name
            assert not torch.equal(value, states[2][name]), name
    assert not torch.equal(first, frozen.projection.weight)
    assert all(weight.requires_grad for m in (frozen, whole) for weight in m.parameters())


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_a_stopped_training_goes_on_to_the_same_bits(networks, tmp_path, stop):
    def progress(done, *_):
        if done == stop:
            raise KeyboardInterrupt("as by Ctrl-C")

    with pytest.raises(KeyboardInterrupt, match="as by Ctrl-C"):
        trained(tmp_path, progress=progress)
    for one, other in zip(networks, trained(tmp_path), strict=True):
        assert one.facts == other.facts
        for name, value in one.model.state_dict().items():
            assert torch.equal(value, other.model.state_dict()[name]), name


def test_figures_are_those_of_the_captions(networks):
    test, model = few()[1], networks[1].model
    by = {fact["label"]: fact for fact in networks[1].facts}
    total = 0.0
    for x, some in zip(test.inputs, test.labels, strict=True):
        for ids in (row[row >= 0] for row in some):
            odds = model.logits(x[None], ids[None])[0].log_softmax(1).detach()
            total -= float(odds.gather(1, ids[:, None]).sum())
    count = sum(len(text.split()) + 1 for some in test.captions for text in some)
    assert by["perplexity"]["value"] == pytest.approx(math.exp(total / count), rel=1e-5)
    chances = [
        data.sentence_odds(layout)[text]
        for layout, some in zip(test.layout.tolist(), test.captions, strict=True)
        for text in some
    ]
    rules = -sum(map(math.log, chances))
    excess = by["above the rules, on the same captions"]["value"]
    assert excess == pytest.approx((total - rules) / count, rel=1e-5)
    written = helpers.describe(model, test, 3)
    right = [data.is_true(*pair) for pair in zip(written, test.layout.tolist(), strict=True)]
    share = by["captions written that are true"]["value"]
    assert share == pytest.approx(100 * sum(right) / len(right))


def test_the_perplexity_of_the_rules_is_that_of_many_captions():
    test = data.captioned_shapes(40, sentences=300, seed=5).numbered()
    exact = helpers.least_perplexity(test)["value"]
    words = helpers.counts(test)
    fact = helpers.perplexity_fact("", helpers.rule_nats(test), words)
    assert (
        fact["value"]
        == helpers.perplexity_fact("", helpers.rule_nats(test).sum((1, 2)), words)["value"]
    )
    mean = math.exp(float(helpers.rule_nats(test).sum() / words.sum()))
    assert fact["value"] == pytest.approx(mean)
    assert mean == pytest.approx(exact, rel=0.01)


def test_the_rules_are_nothing_above_themselves_at_any_place():
    _, test = few()
    places, above = page.excess_by_place(helpers.rule_nats(test), test)
    assert places == list(range(1, 10))
    assert above == [0] * 9
    each = helpers.rule_nats(test) + (test.labels >= 0)
    assert page.excess_by_place(each, test)[1] == pytest.approx([1] * 9)


def test_a_ratio_of_sums_has_the_error_of_repeats():
    g = torch.Generator().manual_seed(0)
    weights = torch.randint(1, 9, (2000, 50), generator=g).double()
    values = weights * 2 + torch.randn(2000, 50, generator=g)
    found = [ratio_of_sums(v, w) for v, w in zip(values, weights, strict=True)]
    ratios, errors = torch.tensor(found).T
    assert float(errors.mean()) == pytest.approx(float(ratios.std()), rel=0.05)
    assert math.isnan(ratio_of_sums(values[0, :1], weights[0, :1])[1])


def test_other_pictures_are_others_and_each_is_once_one():
    for n in (2, 3, 30):
        places = helpers.others(few()[1][:n])
        assert sorted(places.tolist()) == list(range(n))
        assert (places != torch.arange(n)).all()


def test_tags_are_the_shapes_or_the_words():
    _, test = few()
    found = helpers.tags(test)
    for row, layout in zip(found, test.layout.tolist(), strict=True):
        assert row.nonzero()[:, 0].tolist() == sorted({what for what in layout if what >= 0})
    said = helpers.tags(replace(test, layout=None))
    for row, some in zip(said, test.captions, strict=True):
        words = {test.words[i] for i in row.nonzero()[:, 0].tolist()} - {"<eos>"}
        assert words == {word for text in some for word in text.split()}


def test_the_page_has_what_is_written_before_and_after(networks):
    drawn = recipe.pictures(networks, few()[1], SMALL, torch.Generator())
    shown, texts, lost, kernels = drawn
    assert isinstance(shown, Picture)
    assert isinstance(texts, Texts)
    assert texts.head == ("picture", "frozen", "finetuned", "given")
    assert len(texts.rows) == shown.images.shape[1] == 10
    after = helpers.describe(networks[1].model, few()[1][:10], 3)
    told = [row[2].removesuffix(" (false)") for row in texts.rows]
    assert told == after
    layouts = few()[1].layout[:10].tolist()
    for row, text, layout in zip(texts.rows, told, layouts, strict=True):
        assert (row[2] == text) == data.is_true(text, layout)
    assert list(lost.lines) == ["frozen", "finetuned"]
    assert kernels.images.shape[2:] == (3, 5, 5)


def test_an_xray_opens_the_network_across_the_joint(networks):
    opened, examples = recipe.measured(networks, few()[1])
    names = recipe.stages(SMALL)
    for network, made in zip(networks, opened, strict=True):
        assert made.trained is network.model
        for name in names:
            made.model.get_submodule(name)
        assert_close(made.model[:2](examples.inputs), network.model(examples.inputs))


def test_what_it_cannot_train_on_is_refused(tmp_path):
    small = tuple(replace(part, inputs=part.inputs[..., :12, :12]) for part in few())
    run = Training(tmp_path, {"seed": 0}, recipe.epochs(SMALL))
    with pytest.raises(UsageError, match="data must hold pictures of 16 pixels a side or more"):
        recipe.train(run, *small, SMALL)
    for files, match in (
        (recipes.DataFiles(tmp_path, key="x"), "key must be left out with a folder of pictures"),
        (recipes.DataFiles(tmp_path), "data must hold a table captions.txt"),
        (recipes.DataFiles(tmp_path / "no"), "data must hold a table captions.txt"),
    ):
        with pytest.raises(UsageError, match=match):
            helpers.captions_from(files)
