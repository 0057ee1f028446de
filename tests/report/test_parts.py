"""Colours, scales, curves and pictures against independent values."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from nakami import report
from nakami.report.charts import _axes as scales
from nakami.report.charts._chart import CONFIG, fill
from nakami.report.page import _palette as theme
from nakami.report.xray import _images as images
from nakami.report.xray import _series as series
from nakami.results import UsageError


def test_text_colours_can_be_read_on_both_papers():
    assert theme.contrast("#000000", "#FFFFFF") == pytest.approx(21)  # WCAG's own end point
    for name, colours in theme.variables(12).items():
        paper = colours["paper"]
        for key in ("ink", "ink-2", "ink-3", "accent", "before", "after"):
            assert theme.contrast(colours[key], paper) >= 4.5, (name, key)
        for i in range(12):
            assert theme.contrast(colours[f"t{i + 1}"], paper) >= 4.5, (name, i)
            assert theme.contrast(colours[f"d{i + 1}"], paper) >= 3, (name, i)


def test_depth_runs_through_the_three_given_colours():
    assert theme.depth_colours(5)[::2] == list(theme.DEPTH["light"])
    assert theme.depth_colours(1) == ["#37308A"]
    assert theme.signed_map("dark")[16] == "#1B1E22"  # zero is the paper's wash


def test_ticks_are_round_few_and_inside():
    for low, high in ((0, 3.2), (0, 96), (-6, 12), (0, 1e-5)):
        axis = scales.linear_axis(low, high)
        start, end = axis["scale"]["domain"]
        assert start <= low < high <= end
        assert 2 <= len(axis["axis"]["values"]) <= 8
    axis = scales.log_axis(1e-7, 40)
    assert all(1e-7 <= t <= 40 for t in axis["axis"]["values"])
    assert len(axis["axis"]["values"]) <= 6
    assert set(scales.value_axes(0.0, [0.0], [0.0])) == {"linear"}


def test_curves_are_whole_up_to_120_then_thinned():
    index = series.thinned(784)
    assert list(index[:120]) == list(range(1, 121))
    assert index[-1] == 784
    assert len(index) < 150
    assert list(series.thinned(7)) == [1, 2, 3, 4, 5, 6, 7]


def test_unconverged_values_are_drawn_dotted_only(make):
    curve = series.series(make(k=60, converged=False), "hidden1", "input", "a", "d1", "t1")
    assert set(curve.state[:31]) == {series.OK}
    assert set(curve.state[31:]) == {series.UNCONVERGED}
    columns = series.rows([curve])
    assert columns["d"][31] is None
    assert columns["u"][31] == columns["m"][31]
    assert columns["u"][30] == columns["d"][30]  # the dots start where the line ends


def test_area_of_known_pictures():
    one = np.zeros((1, 28, 28))
    one[0, 3, 4] = -0.7
    assert images.area(one) == pytest.approx(1)
    assert images.area(np.full((3, 28, 28), 0.1)) == pytest.approx(784)
    assert images.area(np.zeros((1, 4, 4))) == 0


def test_grey_is_a_root_scale_around_128_with_the_largest_entry_positive():
    plane = np.array([[0.0, -0.4], [0.1, 0.025]])
    assert images.grey(plane, top=0.4).tolist() == [[128, 255], [64, 96]]  # 128 ± 127 sqrt(v/top)


def test_what_is_a_picture(make):
    flat = images.frame(make())
    assert flat is not None
    assert (flat.channels, flat.height, flat.width) == (1, 28, 28)
    assert images.frame(make(settings={"picture": None})) is None
    assert images.frame(make(shape=(1, 8, 9), settings={"picture": None})) is not None
    assert images.frame(make(shape=(5, 8, 9))) is None
    assert images.frame(make(shape=(77,))) is None
    normal = {"picture": {"mean": [0.5], "std": [0.25]}}
    shape = images.frame(make(shape=(3, 8, 8), settings=normal))
    assert images.unnormalised(shape, np.ones((1, 3, 8, 8))) == pytest.approx(0.75)


def test_an_encoded_picture_reads_back():
    from PIL import Image

    shape = images.Frame(1, 4, 4, np.zeros(1), np.ones(1))
    pixels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    uri = images.encoded(pixels, shape, 50)
    raw = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(raw))), pixels[0])


def test_a_mode_fills_the_specification():
    modes = {"x": {"scale": {"type": "log"}}}
    assert fill({"a": ["@x.scale", 1]}, modes) == {"a": [{"type": "log"}, 1]}
    assert "axis" in CONFIG


def test_figures_are_altair_charts_with_plain_colours(two):
    charts = report.figures(two)
    assert {"spectra", "count", "rank", "pair0", "pair2", "change", "own"} <= set(charts)
    text = charts["spectra"].to_json(validate=False)
    assert "var(--" not in text
    assert "#37308A" in text
    assert "idx" not in text  # no read-out on paper, a legend instead
    assert '"title": null' in text
    dark = report.figures(two, theme="dark")["spectra"].to_json(validate=False)
    assert "#9C8FF5" in dark


def test_an_unknown_theme_is_refused(run):
    with pytest.raises(UsageError, match="theme 'sepia' is unknown"):
        report.figures(run, theme="sepia")
