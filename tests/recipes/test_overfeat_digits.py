"""The detector's recipe on pictures of one's own, after a stop, and with boxes for each class."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nakami import data, detection, recipes
from nakami.recipes import overfeat_digits
from nakami.results import UsageError

SMALL = replace(
    overfeat_digits.ENTRY.settings,
    scenes=8,
    test_scenes=4,
    frames=4,
    looks=1,
    epochs=1,
    hard_epochs=2,
    box_epochs=2,
    size=64,
    sides=(12, 30),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Coloured shapes in a folder for each kind."""
    image = pytest.importorskip("PIL.Image")
    root = tmp_path_factory.mktemp("shapes")
    made = data.shapes(30, ("square", "cross"), colours=("red", "blue"), size=24)
    for i, kind in enumerate(made.labels.tolist()):
        (root / made.classes[kind]).mkdir(exist_ok=True)
        pixels = (255 * made.pictures[i] * made.opacity[i]).byte().permute(1, 2, 0).numpy()
        image.fromarray(pixels).save(root / made.classes[kind] / f"{i:02}.png")
    return root


def prepared(out, folder, **how):
    settings = replace(SMALL, **how.pop("changes", {}))
    return recipes.prepare(
        "overfeat-digits", out, data=folder, settings=settings, n_inputs=2, pictures=True, **how
    )


def test_a_folder_of_pictures_gives_objects_and_classes(folder, tmp_path):
    subject = prepared(tmp_path / "run", folder, changes={"boxes": "each"})
    (network,) = subject.networks
    assert subject.examples.inputs.shape == (2, 3, 24, 24)
    assert network.model(subject.examples.inputs).shape == (2, 3)  # cross, square, background
    assert network.model.boxes(subject.examples.inputs).shape == (2, 3, 4)
    labels = [fact["label"] for fact in network.facts]
    assert labels[0] == "mean average precision, overlap 0.5"
    assert "IDF1 of tracks" in labels


class Stopped(Exception):
    pass


def test_a_stopped_training_ends_in_the_same_bits(folder, tmp_path):
    def stop(done, total, left, what):
        if done == 2:  # within the phase whose data the first one decides
            raise Stopped

    with pytest.raises(Stopped):
        prepared(tmp_path / "stopped", folder, progress=stop)
    again = prepared(tmp_path / "stopped", folder).networks[0]
    whole = prepared(tmp_path / "whole", folder).networks[0]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    assert whole.facts == again.facts


def test_false_alarms_and_boxes_leave_what_they_should(folder, tmp_path):
    """The regressor's phase leaves the classifier as it was."""
    one = prepared(tmp_path / "one", folder).networks[0].model
    other = prepared(tmp_path / "two", folder, changes={"box_epochs": 1}).networks[0].model
    for name, value in one.state_dict().items():
        same = torch.equal(value, other.state_dict()[name])
        assert same != name.startswith("regressor"), name


def test_the_figure_of_coco_is_made_once_its_program_is_there(folder, tmp_path, monkeypatch):
    def labels():
        network = prepared(tmp_path / "run", folder).networks[0]
        return [fact["label"].partition(",")[0] for fact in network.facts], network.training

    monkeypatch.setattr(detection, "has_coco", lambda: False)
    found, said = labels()
    assert "COCO's average precision" not in found
    assert said.endswith("pip install 'nakami[detection]' adds it")
    monkeypatch.setattr(detection, "has_coco", lambda: True)
    monkeypatch.setattr(detection, "coco_average_precision", lambda *_: np.full((10, 2), 0.25))
    found, said = labels()
    assert "COCO's average precision" in found
    assert "pip" not in said


def test_a_share_that_no_window_holds_more_of_is_refused():
    with pytest.raises(UsageError, match="inside must be a number from 0 to 1, not 1, got 1"):
        recipes.with_values(overfeat_digits.ENTRY.settings, {"inside": 1})


def test_pictures_that_are_not_square_are_refused(tmp_path):
    path = tmp_path / "wide.npz"
    np.savez(path, x=np.zeros((20, 1, 10, 14), np.uint8), y=np.arange(20) % 2)
    with pytest.raises(UsageError, match="data must hold square pictures"):
        prepared(tmp_path / "run", path)
