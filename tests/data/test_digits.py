import numpy as np
import pytest
import torch

from nakami import data
from nakami.results import UsageError


@pytest.mark.parametrize(("split", "n"), [("train", 4000), ("test", 1000)])
def test_shipped_sample(split, n):
    sample = data.digits(split)
    assert sample.inputs.shape == (n, 1, 28, 28)
    assert sample.inputs.dtype == torch.float32
    assert (float(sample.inputs.min()), float(sample.inputs.max())) == (0.0, 1.0)
    assert sample.labels.bincount().min() > 0.07 * n  # all ten digits
    assert sample.names[12] == f"{split} digit 12"
    assert sample.unit == "pixel, 0 to 1"
    assert sample.picture == {"mean": [0.0], "std": [1.0]}
    assert torch.equal(data.digits(split, flat=True).inputs, sample.inputs.flatten(1))


@pytest.mark.parametrize("split", ["train", "test"])
def test_shipped_digits_are_the_first_of_the_original(split, nakami_data):
    sample = data.digits(split)
    original = data.mnist(nakami_data / "mnist", split, n=len(sample))
    assert torch.equal(sample.inputs, original.inputs)
    assert torch.equal(sample.labels, original.labels)


def test_slices_keep_everything_together():
    sample = data.digits("test")
    part = sample[3:5]
    assert (len(part), part.names) == (2, ("test digit 3", "test digit 4"))
    assert torch.equal(part.labels, sample.labels[3:5])
    picked = sample[[7, 2]]
    assert torch.equal(picked.inputs, sample.inputs[[7, 2]])
    assert picked.names == ("test digit 7", "test digit 2")


def test_wrong_use(tmp_path):
    with pytest.raises(UsageError, match=r"split 'tests' is unknown; nearest.*'test'"):
        data.digits("tests")
    with pytest.raises(
        UsageError, match=r"data must be a folder with train-images-idx3-ubyte \(or"
    ):
        data.mnist(tmp_path)
    with pytest.raises(TypeError, match=r"part must be a slice .*, got 3; write \[i : i \+ 1\]"):
        data.digits("test")[3]


@pytest.mark.parametrize("n", [0, -1])
def test_a_number_that_is_none_is_refused(tmp_path, n):
    with pytest.raises(UsageError, match=f"n must be a whole number from 1 on, got {n}; pass how"):
        data.mnist(tmp_path, n=n)


def test_examples_are_picked_by_indices_and_masks_of_any_library():
    some = data.digits("test")[:5]
    for part in (
        [0, 2],
        (0, -3),
        np.array([0, 2]),
        torch.tensor([0, 2]),
        [True, False, True, False, False],
        np.array([1, 0, 1, 0, 0], dtype=bool),
        torch.tensor([1, 0, 1, 0, 0]) > 0,
    ):
        found = some[part]
        assert found.names == ("test digit 0", "test digit 2")
        assert torch.equal(found.inputs, some.inputs[[0, 2]])
        assert torch.equal(found.labels, some.labels[[0, 2]])
    assert len(some[[]]) == 0
    for part in ("ab", [True], 1.0, torch.tensor(3), [0.5]):
        with pytest.raises(TypeError, match="part must be a slice or indices"):
            some[part]
