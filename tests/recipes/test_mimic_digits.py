"""Mimic training of digits in a tiny size, against the same training by hand."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from nakami import data, recipes
from nakami.recipes import mimic_digits
from nakami.results import UsageError
from nakami.training import Mimic, Supervised, fit
from nakami.training._random import phase_generator
from nakami.zoo import cnn, shallow


def few(crop=None):
    train, test = data.digits("train")[:60], data.digits("test")[:20]
    cut = [replace(part, inputs=part.inputs[..., :crop, :crop]) for part in (train, test)]
    return train if crop is None else cut[0], test if crop is None else cut[1]


def prepared(folder, crop=None):
    settings = replace(
        mimic_digits.ENTRY.settings, hidden=12, bottleneck=6, batch=20,
        teacher_epochs=2, label_epochs=2, mimic_epochs=3,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        entry = replace(mimic_digits.ENTRY, examples=lambda files: few(crop))
        patch.setattr(mimic_digits, "ENTRY", entry)
        return recipes.prepare("mimic-digits", folder, n_inputs=2, settings=settings)


def learned(model, phase, make, rate, targets, epochs):
    method = make(model, torch.optim.SGD(model.parameters(), rate, 0.9))
    pairs = (few()[0].inputs, targets)
    fit(method, pairs, epochs=epochs, batch=20, generator=phase_generator(0, phase))
    return method


def student():
    return shallow.make(784, 12, bottleneck=6, generator=phase_generator(0, "first weights"))


def test_both_students_are_those_of_a_training_by_hand(tmp_path):
    labels, mimic = prepared(tmp_path).networks
    train, test = few()
    teacher = cnn.make(generator=phase_generator(0, "teacher weights"))
    learned(teacher, "teacher", Supervised, 0.02, train.labels, 2)
    with torch.no_grad():
        logits = teacher(train.inputs)
    one, other = student(), student()
    learned(one, "labels", Supervised, 0.05, train.labels, 2)
    learned(other, "mimic", lambda net, sgd: Mimic(net, sgd, logits), 0.01, logits, 3)
    with torch.no_grad():
        z = other(test.inputs) * logits.std(0, correction=0) + logits.mean(0)
        assert_close(labels.model(test.inputs), one(test.inputs), rtol=1e-4, atol=1e-5)
        assert_close(mimic.model(test.inputs), z, rtol=1e-4, atol=1e-5)
        wrong = (teacher(test.inputs).argmax(1) != test.labels).double().mean()
    assert mimic.facts[1]["label"] == "test error of the teacher"
    assert mimic.facts[1]["value"] == pytest.approx(100 * wrong.item())


def test_small_pictures_need_the_other_teacher(tmp_path):
    message = r"data must hold pictures of 16 pixels a side or more .* got shape \(1, 12, 12\); set"
    with pytest.raises(UsageError, match=message):
        prepared(tmp_path, crop=12)
