"""Language models on texts: made sentences, files by characters and words, cells of each kind."""

import math
from dataclasses import replace

import pytest
import torch

from nakami import recipes
from nakami.recipes import _texts, rnnlm_text
from nakami.results import Lines, Texts, UsageError, packed_pictures
from nakami.results._trained import unpacked_pictures
from nakami.training import Held
from nakami.zoo.rnnlm import RecurrentLM

LINES = "the cat sat on the mat.\nthe dog ran to the door.\n" * 60
TINY = {"hidden": 12, "layers": 1, "epochs": 2, "window": 10, "batch": 4}


def trained(tmp_path, text=LINES, name="x", **settings):
    (tmp_path / "x.txt").write_text(text, encoding="utf-8")
    chosen = replace(rnnlm_text.ENTRY.settings, **TINY | settings)
    return recipes.prepare(
        "rnnlm-text", tmp_path / name, data=tmp_path / "x.txt", settings=chosen, n_inputs=2
    )


def value(subject, label):
    return next(fact["value"] for fact in subject.networks[0].facts if fact["label"] == label)


def test_blocks_of_a_text_are_the_text_again(tmp_path):
    (tmp_path / "x.txt").write_text(LINES, encoding="utf-8")
    train, test = _texts.text_from(recipes.DataFiles(tmp_path / "x.txt"))
    whole = "".join(map(chr, torch.cat([train.inputs, test.inputs]).flatten().tolist()))
    assert whole == LINES[: len(whole)]
    assert len(LINES) - len(whole) < 100
    parts = _texts.arranged(train, test, "words", 2)
    text = _texts.as_text(parts[0], "words")
    assert text.spelled(text.ids).startswith("the cat sat on the mat.\nthe dog ran")
    assert parts[0].classes == parts[1].classes


def test_characters_and_words_are_learned(tmp_path):
    settings = {"rate": 0.03, "epochs": 6}
    characters = trained(tmp_path, name="c", **settings)
    assert value(characters, "bits per character") < value(
        characters, "the same by frequencies alone"
    )
    words = trained(tmp_path, name="w", unit="words", factored=True, **settings)
    assert 1 < value(words, "perplexity") < 6
    assert words.examples.classes[-1] == "<unk>"


def test_words_of_the_test_text_alone_are_kinds_where_none_is_unknown(tmp_path):
    (tmp_path / "a.txt").write_text("to be or\n" * 100, encoding="utf-8-sig")
    (tmp_path / "b.txt").write_text("to dream\n" * 100, encoding="utf-8")
    files = recipes.DataFiles(tmp_path / "a.txt", tmp_path / "b.txt")
    train, test = _texts.arranged(*_texts.text_from(files), "words", 1)
    assert set(train.classes) == {"to", "be", "or", "dream", "<eos>"}  # no mark of order
    assert test.classes == train.classes
    text = _texts.as_text(test, "words")
    assert text.spelled(text.ids).startswith("to dream\nto dream")


def test_a_test_text_of_a_few_words_is_enough(tmp_path):
    (tmp_path / "b.txt").write_text("the cat sat on the mat.\n" * 5, encoding="utf-8")
    (tmp_path / "x.txt").write_text(LINES, encoding="utf-8")
    settings = replace(rnnlm_text.ENTRY.settings, **TINY | {"unit": "words", "epochs": 1})
    files = recipes.DataFiles(tmp_path / "x.txt", tmp_path / "b.txt")
    subject = recipes.prepare("rnnlm-text", tmp_path / "out", data=files, settings=settings)
    shown = rnnlm_text.pictures(
        subject.networks, subject.examples, settings, torch.Generator().manual_seed(0)
    )
    (again, _) = unpacked_pictures(*packed_pictures(shown))
    read = len(again.lines["layer1"][1])
    assert 0 < sum(y == y for y in again.lines["layer1"][1]) < read  # NaN behind the end
    assert value(subject, "perplexity") > 1


def test_frequencies_alone_have_their_entropy_and_its_error():
    train = _texts.Text.of("aab" * 100)
    fact = _texts.frequency_bits(train, _texts.Text.of("ab" * 500, kinds=train.kinds))
    p = 201 / 302
    assert fact["value"] == pytest.approx(-(math.log2(p) + math.log2(1 - p)) / 2, rel=0.02)
    assert (fact["spread"], fact["spread_kind"]) == (None, "unknown of 20 pieces, all alike")
    other = _texts.frequency_bits(train, _texts.Text.of("a" * 500 + "b" * 500, kinds=train.kinds))
    assert other["value"] == pytest.approx(fact["value"], rel=0.02)  # a letter more in one piece
    half = abs(math.log2(p) - math.log2(1 - p)) / 2  # ten pieces lie so far above the mean
    assert other["spread"] == pytest.approx(half / 19**0.5, rel=0.05)
    assert other["spread_kind"] == "standard error, 20 pieces"


@pytest.mark.parametrize("cell", ["elman", "gru", "lstm"])
def test_each_cell_trains_with_every_gradient_cut(cell, tmp_path):
    subject = trained(tmp_path, cell=cell, every=True, window=3, epochs=1)
    assert subject.networks[0].name == cell
    assert subject.networks[0].model(subject.examples.inputs).shape[0] == 2


def test_layers_are_added_one_after_another(tmp_path):
    subject = trained(tmp_path, layers=3, grow=True, outputs="last")
    assert subject.networks[0].model.names == ["layer1", "layer2", "layer3"]
    assert list(rnnlm_text.epochs(replace(rnnlm_text.ENTRY.settings, grow=True))) == [
        "with 1 layer",
        "with 2 layers",
        "all",
    ]


def test_a_gru_that_is_held_stays_within_and_resumes(tmp_path):
    subject = trained(tmp_path, cell="gru", delta=1.0, rate=0.1)
    label = "largest singular value of W_hn, layer1"
    assert value(subject, label) <= 1.0 + 1e-5
    assert value(trained(tmp_path, cell="gru", rate=0.1, name="free"), label) > 1.0


def test_what_a_constraint_knows_is_carried_on():
    net = RecurrentLM(9, 6, 1, "gru")
    adam = torch.optim.Adam(net.parameters(), 0.1)
    held = Held(rnnlm_text.TruncatedBPTT(net, adam), 0.5)
    other = RecurrentLM(9, 6, 1, "gru")
    again = torch.optim.Adam(other.parameters(), 0.1)
    copy = Held(rnnlm_text.TruncatedBPTT(other, again), 0.5)
    held.constraint.count = 7
    copy.load_state_dict(held.state_dict())
    assert copy.constraint.count == 7


def test_the_page_has_curves_and_what_the_model_writes(tmp_path):
    subject = trained(tmp_path, layers=2)
    settings = replace(rnnlm_text.ENTRY.settings, **TINY)
    fading, written = rnnlm_text.pictures(
        subject.networks, subject.examples, settings, torch.Generator().manual_seed(0)
    )
    assert isinstance(fading, Lines)
    assert list(fading.lines) == ["layer1", "layer2"]
    assert isinstance(written, Texts)
    assert all(len(row) == 2 and row[1] for row in written.rows)


def test_a_model_writes_what_it_has_learned_by_heart():
    net = RecurrentLM(3, 4, 1, "tanh")
    with torch.no_grad():
        net.output.weight.zero_()
        net.output.bias.copy_(torch.tensor([-50.0, 50.0, -50.0]))
    begun = _texts.Text.of("aabc")
    assert _texts.written(net, begun, 5, torch.Generator().manual_seed(0)) == begun.kinds[1] * 5


def test_what_is_no_text_is_refused_before_training(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"\xff\xfe\x00")
    for data, match in (
        (tmp_path / "x.npz", "data must hold text in UTF-8"),
        (tmp_path / "none.txt", "data must be a file of text that exists"),
        (recipes.DataFiles(tmp_path / "x.npz", size=3), "size must be left out with a text"),
    ):
        with pytest.raises(UsageError, match=match):
            recipes.prepare("rnnlm-text", tmp_path / "out", data=data)
    with pytest.raises(UsageError, match="data must hold 1,000 characters or more"):
        trained(tmp_path, "short")
    with pytest.raises(UsageError, match="data must hold 20 words or more"):
        trained(tmp_path, "a" * 2000, unit="words")
    with pytest.raises(
        UsageError, match="data must hold two different characters or more, got 'a'"
    ):
        trained(tmp_path, "a" * 2000, least=1)
    assert not (tmp_path / "out").exists()


def test_a_bound_on_grus_goes_with_grus():
    usual = recipes.SUBJECTS["rnnlm-text"].settings
    with pytest.raises(
        UsageError, match=r"delta must be left out, or go with GRUs, .* 1 with tanh"
    ):
        recipes.with_values(usual, {"delta": 1.0})
    assert recipes.with_values(usual, {"delta": 1.0, "cell": "gru"}).delta == 1.0
