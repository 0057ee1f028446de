"""Every recipe in a tiny size runs the same checks; a new one is one entry of ``TINY``."""

import importlib
from dataclasses import replace

import pytest
import torch

from nakami import recipes
from nakami.dynamics import check
from nakami.results import Picture, Show

STACKED = {"hidden": (9, 7), "pretrain_epochs": 1, "finetune_epochs": 1}
TINY = {
    "alexnet-pictures": {"width": 0.05, "epochs": 2},
    "cae-digits": STACKED,
    "captions": {
        "hidden": 6,
        "trunk_epochs": 1,
        "language_epochs": 1,
        "frozen_epochs": 1,
        "finetune_epochs": 1,
    },
    "speech-digits": {**STACKED, "states": 2, "rounds": 1, "realign_epochs": 1},
    "dae-digits": {"hidden": 9, "epochs": 2},
    "dbm-digits": {**STACKED, "joint_epochs": 1, "temperatures": 50},
    "dbn-digits": STACKED,
    "devise-shapes": {"epochs": 1, "matrix_epochs": 1, "joint_epochs": 1},
    "dqn-cartpole": {
        "hidden": (6,),
        "epochs": 2,
        "steps": 32,
        "play": 16,
        "updates": 2,
        "warmup": 32,
        "replay": 200,
        "games": 2,
    },
    "drsae-digits": {"hidden": 9, "steps": 3, "pretrain_epochs": 1, "finetune_epochs": 1},
    "lenet-digits": {"epochs": 1, "pooling": "gaussian", "normalisation": "contrast"},
    "maxout-digits": {"hidden": (6, 5), "epochs": 2},
    "mimic-digits": {
        "teacher": "mlp",
        "hidden": 9,
        "bottleneck": 5,
        "teacher_epochs": 1,
        "label_epochs": 1,
        "mimic_epochs": 1,
    },
    "mlp-dropout": {"hidden": (9, 7), "epochs": 2, "plain_epochs": 1},
    "overfeat-digits": {
        "scenes": 6,
        "test_scenes": 4,
        "frames": 3,
        "looks": 1,
        "epochs": 1,
        "hard_epochs": 1,
        "box_epochs": 1,
    },
    "pentomino": {"patch_units": 6, "units": 5, "patch_epochs": 1, "epochs": 2},
    "rnnlm-text": {"hidden": 6, "layers": 2, "epochs": 1, "window": 10, "grow": True},
    "rbm-digits": {"hidden": 9, "epochs": 2, "temperatures": 50},
    "rntn-trees": {"size": 4, "epochs": 1},
    "sdae-digits": STACKED,
    "skipgram-words": {"width": 4, "least": 2, "epochs": 1},
    "three-stage": {"maps": (2, 3, 4), "epochs": 1, "joint_epochs": 1},
    "tica-patches": {"components": 9, "sheet": (6, 6), "epochs": 2},
    "sfnn-digits": {
        "hidden": (9, 7),
        "stochastic": (3, 2),
        "samples": 3,
        "plain_epochs": 1,
        "epochs": 1,
        "test_samples": 4,
    },
}


EXTRAS = {
    "dqn-cartpole": ("gymnasium", "stable_baselines3", "ale_py"),
    "speech-digits": ("kaldi_native_fbank", "jiwer"),
}


@pytest.fixture(params=recipes.SUBJECTS, scope="module")
def made(request, tmp_path_factory):
    """Name, recipe, folder, and the subject with its training recorded twice."""
    name = request.param
    for package in EXTRAS.get(name, ()):
        pytest.importorskip(package, reason=f"{name} needs an extra")
    module = importlib.import_module(f"nakami.recipes.{name.replace('-', '_')}")
    train, test = module.ENTRY.examples(None)
    few = train[:60], test[:20]
    folder = tmp_path_factory.mktemp(name) / "run"
    with pytest.MonkeyPatch.context() as patch:
        settings = replace(module.ENTRY.settings, **TINY[name], batch=20)
        recipe = replace(module.ENTRY, examples=lambda files: few, settings=settings)
        patch.setattr(module, "ENTRY", recipe)
        before = torch.get_rng_state()
        first = recipes.prepare(name, folder, n_inputs=2)
        again = recipes.prepare(
            name, folder, n_inputs=2, progress=lambda *_: pytest.fail("trained again")
        )
        preview, other = (recipes.preview(name) for _ in range(2))
        assert torch.equal(torch.get_rng_state(), before)
        for key, value in preview.networks[0].model.state_dict().items():
            assert torch.equal(value, other.networks[0].model.state_dict()[key]), key
        yield recipe, preview, first, again, recipe.arranged(*few, settings)


def test_the_list_holds_all_recipes():
    assert set(TINY) == set(recipes.SUBJECTS)


def test_weights_that_are_read_back_are_those_trained(made):
    _, _, first, again, _ = made
    for one, other in zip(first.networks, again.networks, strict=True):
        assert one.facts == other.facts
        for name, value in one.model.state_dict().items():
            assert torch.equal(value, other.model.state_dict()[name]), name


def test_networks_are_made_as_the_preview_says(made):
    _, preview, subject, _, _ = made
    for network in subject.networks:
        assert not network.model.training
        assert network.facts
        for fact in network.facts:  # a doubt, or a word on what is known of it
            assert fact["spread_kind"]
            assert fact["spread"] is None or fact["spread"] >= 0
        wanted = {k: v.shape for k, v in preview.networks[0].model.state_dict().items()}
        assert {k: v.shape for k, v in network.model.state_dict().items()} == wanted
        check(network.model, subject.examples.inputs, stages=subject.stages, k=2)
    assert len({network.name for network in subject.networks}) == len(subject.networks)
    assert len({network.training for network in subject.networks}) == len(subject.networks)


def test_pictures_are_drawn_the_same_each_time(made):
    recipe, _, subject, _, (_, test) = made
    drawn = [
        recipe.pictures(subject.networks, test, recipe.settings, torch.Generator().manual_seed(0))
        for _ in range(2)
    ]
    assert drawn[0]
    for one, other in zip(*drawn, strict=True):
        assert isinstance(one, Show)
        if isinstance(one, Picture):
            assert (one.images == other.images).all()
        else:
            assert one == other
    assert len({picture.title for picture in drawn[0]}) == len(drawn[0])
