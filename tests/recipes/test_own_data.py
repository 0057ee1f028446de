"""Every recipe takes its sizes from the data: pictures of another size, classes or no labels."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from checks import neighbour
from nakami import data, recipes
from nakami.report.page._kinds import page_of
from nakami.results import Picture, UsageError, read_record, training_report

TINY = neighbour("recipes", "test_every_recipe").TINY
SIDES = {
    "captions": 16,
    "devise-shapes": 28,
    "lenet-digits": 28,
    "overfeat-digits": 28,
    "pentomino": 16,
    "three-stage": 28,
    "tica-patches": 28,
}

BACKGROUND = {"overfeat-digits"}  # a class more
OTHERS = {
    "dqn-cartpole",
    "speech-digits",
}  # take no files of pictures; their own tests try them on other data
PICTURED = [name for name in recipes.SUBJECTS if name not in OTHERS]
# patches out of the pictures, short texts, words
CUT = {"tica-patches": 10_000, "rnnlm-text": 180, "skipgram-words": 1462}
TEXTS = dict.fromkeys(["rnnlm-text", "skipgram-words"], "3,600 characters, text of x.txt")
TEXTS["rntn-trees"] = "40 trees of x.txt"
TEXTS["captions"] = "40 pictures of x with 40 captions"


def small(name):
    """Pixels of a side of the pictures that a recipe is tried on: few, or as few as it takes."""
    return SIDES.get(name, 6)


def written(name, stem, n, gen, labels=None):
    """A file of n examples as the recipe takes them, pictures or text; or a folder of both."""
    if name == "captions":
        stem.mkdir()
        rows = [f"{i}.png,a {['red', 'blue'][i % 2]} {gen.choice(9)}" for i in range(n)]
        (stem / "captions.txt").write_text("\n".join(["image,caption", *rows]))
        for i in range(n):
            x = gen.integers(0, 256, (small(name), small(name)), dtype=np.uint8)
            Image.fromarray(x).save(stem / f"{i}.png")
        return stem
    if name in TEXTS:
        file = stem.with_suffix(".txt")
        text = "".join(gen.choice(list("abcd \n"), 100 * n))
        if name == "rntn-trees":
            words = gen.choice(9, n)
            text = "\n".join(f"({word % 4} (0 not) (1 {word}))" for word in words)
        file.write_text(text, encoding="utf-8")
        return file
    x = gen.integers(0, 256, (n, 1, small(name), small(name)), dtype=np.uint8)
    if name == "pentomino":
        x = data.pentominoes(n, grid=2, seed=int(x[0, 0, 0, 0])).pictures.numpy()
    y = np.arange(n) % 4 if labels is None else labels
    np.savez(stem.with_suffix(".npz"), x=x, **({"y": y} if recipes.SUBJECTS[name].labelled else {}))
    return stem.with_suffix(".npz")


@pytest.mark.parametrize("name", PICTURED)
def test_a_recipe_trains_on_other_data_and_has_a_page(name, tmp_path):
    recipe = recipes.SUBJECTS[name]
    file = written(name, tmp_path / "x", 40, np.random.default_rng(0))
    settings = replace(recipe.settings, **TINY[name], batch=12)
    out = tmp_path / "out"
    options = {"n_inputs": 2, "settings": settings, "pictures": True}
    subject = recipes.prepare(name, out, data=file, **options)
    for network in subject.networks:
        given = network.model(subject.examples.inputs)
        assert len(given) == 2
        assert not recipe.labelled or given.shape[1] == 4 + (name in BACKGROUND)
    report = training_report(read_record(out))
    said = TEXTS.get(name, "40 examples of x.npz")
    assert report.source.startswith(said) or name in CUT
    assert said in report.source
    assert report.settings["data"]["examples"] == CUT.get(name, 36)  # without a tenth
    assert report.pictures
    if name not in {
        *SIDES,
        *TEXTS,
        "alexnet-pictures",
    }:  # whose filters are smaller than the pictures
        drawn = [shown for shown in report.pictures if isinstance(shown, Picture)]
        assert drawn
        assert all(picture.images.shape[3:] == (6, 6) for picture in drawn)
    sections = [section.id for section in page_of(report).sections]
    assert sections == ["losses", "facts", "pictures"]


@pytest.mark.parametrize("turn", [2, 5, 10])
def test_the_examples_held_out_are_of_all_classes_in_whatever_order(turn, tmp_path):
    x, n = np.arange(400, dtype=np.float32)[:, None], np.arange(400)
    for labels in (n % turn, n * turn // 400):  # in turns, and sorted
        np.savez(tmp_path / "x.npz", x=x, y=labels)
        train, test = recipes.digits_from(tmp_path / "x.npz")
        assert (len(train), len(test)) == (360, 40)
        assert len(set(test.labels.tolist())) == len(set(train.labels.tolist())) == turn
        rows = [part.inputs.flatten().tolist() for part in (train, test)]
        assert rows == [sorted(part) for part in rows]
        assert sorted(rows[0] + rows[1]) == n.tolist()
        assert rows[1] == recipes.digits_from(tmp_path / "x.npz")[1].inputs.flatten().tolist()


@pytest.mark.parametrize("name", [n for n in PICTURED if recipes.SUBJECTS[n].labelled])
def test_a_recipe_that_needs_labels_says_so_before_training(name, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((20, 9), np.float32))
    with pytest.raises(UsageError, match=f"data must hold labels, which {name} needs, got none"):
        recipes.prepare(name, tmp_path / "out", data=tmp_path / "x.npy")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [n for n, r in recipes.SUBJECTS.items() if r.in_unit])
def test_values_out_of_range_are_refused_in_both_parts_before_training(name, tmp_path):
    x, gone = np.random.default_rng(0).random((40, 9)).astype(np.float32), tmp_path / "out"
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(40) % 4)
    np.savez(tmp_path / "bytes.npz", x=255 * x, y=np.arange(40) % 4)
    for argument, files in (("data", ("bytes", "x")), ("test", ("x", "bytes"))):
        files = recipes.DataFiles(*(tmp_path / f"{file}.npz" for file in files))
        with pytest.raises(UsageError, match=f"{argument} must lie in 0..1, which {name} needs"):
            recipes.prepare(name, gone, data=files)
        assert not gone.exists()


@pytest.mark.parametrize(
    "name", ["alexnet-pictures", "devise-shapes", "lenet-digits", "sfnn-digits", "three-stage"]
)
@pytest.mark.parametrize("shape", [(28, 28), (784,)])
def test_pictures_of_any_form_are_taken_and_others_are_refused_first(name, shape, tmp_path):
    recipe = recipes.SUBJECTS[name]
    settings = replace(recipe.settings, **TINY[name], batch=12)
    x = np.random.default_rng(0).random((40, *shape)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(40) % 4)
    subject = recipes.prepare(name, tmp_path / "out", data=tmp_path / "x.npz", settings=settings)
    assert subject.examples.inputs.shape == (4, 1, 28, 28)
    assert all(network.facts for network in subject.networks)
    np.savez(tmp_path / "no.npz", x=x.reshape(-1, 7), y=np.arange(40 * 112) % 4)
    with pytest.raises(UsageError, match="data must hold pictures"):
        recipes.prepare(name, tmp_path / "no", data=tmp_path / "no.npz", settings=settings)
    assert not (tmp_path / "no").exists()


def test_labels_that_number_no_classes_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((40, 9), np.float32), y=10**8 * (np.arange(40) % 4))
    with pytest.raises(UsageError, match="data must hold labels below its number of examples, 36"):
        recipes.prepare("mlp-dropout", tmp_path / "out", data=tmp_path / "x.npz")


def test_a_file_named_to_test_on_gives_its_test_part(tmp_path):
    x = np.arange(12, dtype=np.float32)[:, None]
    np.savez(tmp_path / "x.npz", x_train=x, y_train=np.arange(12), x_test=-x[1:3], y_test=[1, 2])
    files = recipes.DataFiles(tmp_path / "x.npz", tmp_path / "x.npz")
    train, test = recipes.digits_from(files)
    assert (len(train), test.inputs.flatten().tolist()) == (12, [-1, -2])


@pytest.mark.parametrize("name", PICTURED)
def test_one_example_to_test_on_has_figures_without_a_spread(name, tmp_path):
    recipe = recipes.SUBJECTS[name]
    file = written(name, tmp_path / "x", 10, np.random.default_rng(0), np.zeros(10, int))
    settings = replace(recipe.settings, **TINY[name], batch=12)
    recipes.prepare(name, tmp_path / "out", data=file, n_inputs=1, settings=settings)
    record = read_record(tmp_path / "out")
    assert record.result["tables"]
    json.loads((tmp_path / "out" / "result.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("name", PICTURED)
def test_figures_are_those_of_the_examples_to_test_on(name, tmp_path):
    recipe, gen = recipes.SUBJECTS[name], np.random.default_rng(0)
    files = {
        stem: written(name, tmp_path / stem, n, gen)
        for stem, n in (("train", 40), ("one", 10), ("other", 12))
    }
    settings = replace(recipe.settings, **TINY[name], batch=12)

    def figures(folder, test):
        given = recipes.DataFiles(files["train"], files[test])
        found = recipes.prepare(
            name, tmp_path / folder, data=given, n_inputs=2, settings=settings, pictures=True
        )
        shown = training_report(read_record(tmp_path / folder)).pictures
        drawn = [p.images.tobytes() if isinstance(p, Picture) else repr(p) for p in shown]
        return [n.facts for n in found.networks], drawn

    first = figures("a", "one")
    assert first != (other := figures("a", "other"))
    assert other == figures("b", "other")
    assert first == figures("a", "one")
    given = recipes.DataFiles(files["train"], files["other"])
    recipes.prepare(name, tmp_path / "a", data=given, n_inputs=2, settings=settings)
    assert not training_report(read_record(tmp_path / "a")).pictures  # those of "one" are there


def test_a_folder_of_one_class_alone_is_told_that_two_are_needed(tmp_path):
    one = tmp_path / "all" / "cats"
    one.mkdir(parents=True)
    for i in range(12):
        Image.new("L", (20, 20), i).save(one / f"{i}.png")
    with pytest.raises(
        UsageError, match=r"data must hold two classes or more, got the folder cats alone; add a"
    ):
        recipes.prepare("lenet-digits", tmp_path / "run", data=tmp_path / "all")
    with pytest.raises(UsageError, match="data must hold labels, which lenet-digits needs"):
        recipes.prepare("lenet-digits", tmp_path / "run", data=one)


def test_a_schema_is_taken_or_refused_with_what_to_pass(tmp_path):
    """Texts as places of words, which no recipe of pictures takes either."""
    pytest.importorskip("pyarrow")
    rows = [f"some words {i} here,{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "t.csv").write_text("text,y\n" + "\n".join(rows))
    words = '[columns.text]\ntype = "text"\nvector = "words"\n'
    target = '[columns.y]\ntype = "category"\nuse = "target"\n'
    (tmp_path / "s.toml").write_text(f'path = "t.csv"\n{words}{target}')
    for name in recipes.SUBJECTS:
        with pytest.raises(UsageError) as error:
            recipes.prepare(name, tmp_path / "run", data=tmp_path / "s.toml")
        takes = recipes.SUBJECTS[name].takes
        expected = 'write vector = "bag" below the text in the schema'
        if name == "dqn-cartpole":
            expected = "data must be left out"
        elif takes:
            expected = (
                f"data must be {takes}, for {name}, got a schema, {tmp_path / 's.toml'}; pass"
            )
        assert expected in str(error.value)
        assert not (tmp_path / "run").exists()
