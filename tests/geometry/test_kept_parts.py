"""A reading that is stopped anywhere goes on from its finished parts, to the same numbers."""

import pytest
import torch
from torch import nn

from checks import Killed
from nakami.geometry import learning_rate_report
from nakami.results import RecordFolder, UsageError


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def batches():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(24, 6, generator=generator, dtype=torch.float64)
    y = torch.arange(24) % 3
    return [(x[:12], y[:12]), (x[12:], y[12:])]


@pytest.mark.parametrize(
    "optimizer", ["sgd", pytest.param("momentum", marks=pytest.mark.slow), "adam"]
)
def test_a_stopped_report_goes_on_to_the_same_numbers(tmp_path, optimizer):
    whole = learning_rate_report(network(), batches(), "cross_entropy", optimizer)
    made = []

    def report(stop=None):
        """Killed as soon as this part is kept."""
        folder = RecordFolder(tmp_path, "lr", {"seed": 0})

        def keep(name, make):
            part = folder.kept(name, lambda: (made.append(name), make())[1])
            if name == stop:
                raise Killed
            return part

        return learning_rate_report(network(), batches(), "cross_entropy", optimizer, keep=keep)

    inside = ["limit", *["curvature"] * (optimizer == "adam"), "limit-1", "limit-2"]
    parts = ["first-look", "advice", *inside, "rate-limit", "theory", "largest", "eigenvalues"]
    for stop in parts:
        with pytest.raises(Killed):
            report(stop)
    assert report() == whole
    begun = [
        name for name in made if name not in ("rate-limit", "eigenvalues")
    ]  # these hold others
    assert begun == [name for name in parts if name not in ("rate-limit", "eigenvalues")]
    assert made.count("rate-limit") == len(inside) + 1


def test_a_changed_part_is_seen(tmp_path):
    folder = RecordFolder(tmp_path, "lr", {"seed": 0})
    learning_rate_report(network(), batches(), "cross_entropy", keep=folder.kept)
    piece = tmp_path / "pieces" / "rate-limit" / "result.json"
    piece.write_text(piece.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(
        UsageError, match=r"piece rate-limit of .* is damaged .*; delete that folder"
    ):
        learning_rate_report(network(), batches(), "cross_entropy", keep=folder.kept)
