"""Leading subspaces on the page: the sentences follow the numbers."""

import numpy as np
import pytest

from nakami import report
from nakami.report.pages.xray._data import read
from nakami.report.pages.xray._subspaces import subspaces_section
from nakami.results import Subspaces

SIZE = 20


def made(labels=(0, 0, 0, 1, 1, 1), shared=True, rank=2):
    """Two directions at two stages; at the last the second is that of the class, or of chance."""
    rng = np.random.default_rng(0)
    n = len(labels)
    right = np.zeros((n, 2, 2, SIZE), dtype=np.float32)
    right[:, :, 0, 0] = 1
    right[:, 0, 1, 1] = 1
    for i, label in enumerate(labels):
        right[i, 1, 1, 2 + (label if shared else i)] = 1
    right[:, :, rank:] = 0
    settings = {
        "dimension": 2, "stages": ["hidden1", "hidden3"], "depths": [1, 3], "tol": 1e-5, "seed": 0,
        "labels": list(labels), "inputs_sha256": "ab", "source": "input",
    }  # fmt: skip
    arrays = {
        "right": right, "rank": np.full((n, 2), rank),
        "values": np.ones((n, 2, 1)) * np.array([np.e**3, 1.0, 0.5]),
        "doubt": np.full((n, 2), 0.5), "converged": np.ones((n, 2), dtype=bool),
        "point": rng.normal(size=(n, SIZE)).astype(np.float32), "decision": np.full(n, -1),
    }  # fmt: skip
    return Subspaces(settings, tuple(range(n)), arrays)


@pytest.mark.parametrize(
    ("more", "heading"),
    [
        ({}, "Within a class, digits share more directions at hidden3 than between classes"),
        ({"shared": False}, "At hidden3 the overlap of directions within classes is not dist"),
        ({"labels": (0,) * 6}, "Which directions of the input each depth keeps"),
        ({"rank": 0}, "Which directions of the input each depth keeps"),
    ],
)
def test_the_heading_is_the_verdict_of_the_pairs(run, more, heading):
    assert subspaces_section(read(run)) is None
    section = subspaces_section(read(run.including(made(**more))))
    assert section.heading.startswith(heading)


def test_sentences_charts_and_table_say_what_was_measured(run, tmp_path):
    tried = run.including(made())
    section = subspaces_section(read(tried))
    text = section.text.replace("\u00a0", " ")
    assert "overlap by 100 ± 0 % within a class and 50 ± 0 % between classes (" in text
    assert "Random subspaces of as many directions: 10 % of each." in text
    assert "up to 30° off" in text
    assert "Within minus between: +50 ± 0 points (higher)." in text
    charts = {c.name: c.data for c in section.figures[0].charts}
    assert list(charts) == ["subspaces-overlap", "subspaces-kept", "subspaces-exponents"]
    assert charts["subspaces-overlap"]["overlap-one class"]["y"] == [1, 1]
    assert charts["subspaces-overlap"]["overlap-different classes"]["y"] == [1, 0.5]
    assert charts["subspaces-overlap"]["overlap-next depth"]["y"] == [0.5]
    assert charts["subspaces-exponents"]["exponents-2"]["y"] == pytest.approx([1, 0])
    assert len(section.figures[0].table.rows) == 2
    assert 'id="subspaces"' in report.write(tried, tmp_path / "page.html").read_text("utf-8")


def test_names_are_clear_of_other_curves_beside_two_charts(run):
    section = subspaces_section(read(run.including(made())))
    rows = {c.name: c.data for c in section.figures[0].charts}["subspaces-exponents"]["labels"]
    i = rows["t"].index("hidden3")
    width, height = 150, 300  # of the plot; indices 0.5 to 2.5 and exponents 0 to 3
    x = (rows["x"][i] - 0.5) / 2 * width + rows["dx"][i]
    y = height * (1 - rows["y"][i] / 3) + rows["dy"][i]
    end = x + {"left": 52, "center": 26, "right": 0}[rows["align"][i]]  # of about 52 pixels
    curve = [(1 + (y + by) / height - 0.5) / 2 * width for by in (-7, 7)]  # of hidden1
    assert end < min(curve)
