"""Colours, scales, curves and pictures against independent values."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest

from nakami import report
from nakami.report.charts import _axes as scales
from nakami.report.page import _palette as palette
from nakami.report.page._encoded import encoded
from nakami.report.page._kinds import page_of
from nakami.report.pages.xray import _images as images
from nakami.report.pages.xray import _spectrum_chart as series
from nakami.results import UsageError
from nakami.theory import meanfield

LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
DEPTH = {"light": ("B7801A", "B5476A", "37308A"), "dark": ("E9B949", "E67F9C", "9C8FF5")}
SIGNED = {
    "light": ("0B3C6F", "3F86BF", "A9CBE2", "FBFAF7", "F0BD94", "C9662A", "702604"),
    "dark": ("CBE6FF", "5BA3DC", "24506F", "1B1E22", "6E3F1E", "E08A4A", "FFE6CF"),
}


STOPS = (0, 0.25, 0.4, 0.5, 0.6, 0.75, 1)


def linear(colour):
    """Linear light of a hexadecimal colour."""
    rgb = np.array([int(colour.lstrip("#")[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(colour):
    return LAB @ np.cbrt(LMS @ linear(colour))


def contrast(a, b):
    """Contrast ratio (WCAG 2, relative luminance)."""
    x, y = (float(linear(c) @ (0.2126, 0.7152, 0.0722)) for c in (a, b))
    return (max(x, y) + 0.05) / (min(x, y) + 0.05)


def test_text_colours_can_be_read_on_both_papers():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)  # WCAG's own end point
    assert contrast("#B7801A", "#FBFAF7") < 4.5  # a curve's colour would not do for its name
    for name, colours in palette.variables(33).items():
        paper = colours["paper"]
        for key in ("ink", "ink-2", "ink-3", "accent", "before", "after"):
            assert contrast(colours[key], paper) >= 4.5, (name, key)
        for i in range(33):
            assert contrast(colours[f"t{i + 1}"], paper) >= 4.5, (name, i)
            assert contrast(colours[f"d{i + 1}"], paper) >= 3, (name, i)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("table", "ends", "at"),
    [
        (palette.DEPTH, DEPTH, (0, 0.5, 1)),
        (palette.SIGNED, SIGNED, (0, 0.25, 0.4, 0.5, 0.6, 0.75, 1)),
    ],
)
def test_tables_run_evenly_in_oklab_through_the_colours_of_the_design(table, ends, at, theme):
    labs = np.array([oklab(c) for c in ends[theme]])
    wanted = np.stack([np.interp(np.linspace(0, 1, 33), at, labs[:, i]) for i in range(3)], 1)
    np.testing.assert_allclose([oklab(c) for c in table[theme]], wanted, atol=0.004)  # 8 bits
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        np.testing.assert_allclose([oklab(c) for c in table[theme][::-1]], wanted, atol=0.004)


def test_names_are_the_curves_colours_made_darker():
    for curve, name in zip(palette.DEPTH["light"], palette.NAMES["light"], strict=True):
        (light, *hue), (dark, *same) = oklab(curve), oklab(name)
        assert dark <= light + 0.004
        assert np.hypot(*np.subtract(hue, same)) < 0.02
    few = palette.variables(3)["light"]
    assert [few[f"d{i}"] for i in (1, 2, 3)] == ["#B7801A", "#B5476A", "#37308A"]
    assert palette.variables(1)["dark"]["d1"] == "#9C8FF5"


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


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1, 4),
        (2, 5),
        (3, 8),
        (2, 4),
        (3, 4),
        (2, 50),
        (3.1, 3.9),
        (1, 1.01),
        (5e-5, 4e-4),
        (2e-7, 3),
    ],
)
def test_a_log_axis_has_at_least_two_ticks_inside(low, high):
    ticks = scales.log_axis(low, high)["axis"]["values"]
    assert 2 <= len(ticks) <= 8
    assert ticks == sorted(set(ticks))
    assert low * 0.999 <= ticks[0] < ticks[-1] <= high * 1.001


def test_curves_are_whole_up_to_120_then_thinned():
    index = series.thinned(784)
    assert list(index[:120]) == list(range(1, 121))
    assert index[-1] == 784
    assert len(index) < 150
    assert list(series.thinned(7)) == [1, 2, 3, 4, 5, 6, 7]


def test_unconverged_values_are_drawn_dotted_only(make):
    curve = series.series(make(k=60, converged=False), "hidden1", "input", "a", ("d1", "t1", False))
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

    pixels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    uri = encoded(pixels, small=True)
    raw = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(raw))), pixels[0])


def test_every_chart_is_valid_vega_lite(two, run, mixed):
    altair = pytest.importorskip("altair", reason="the schema comes with altair")
    theory = meanfield.predict((50, 60, 3), "relu", 2, samples=5)
    charts = [c for what in (two, run, mixed(), theory) for c in page_of(what).charts]
    for chart in charts:
        spec = chart.complete()
        few = {name: rows[:1] for name, rows in spec["datasets"].items()}
        altair.LayerChart.validate({**spec, "datasets": few})
    jsonschema = pytest.importorskip("jsonschema")
    wrong = {**spec, "datasets": few, "height": "tall"}
    with pytest.raises(jsonschema.ValidationError, match="tall"):
        altair.LayerChart.validate(wrong)


def test_figures_are_complete_specifications_with_plain_colours(two, tmp_path):
    charts = report.figures(two)
    assert {"spectra", "count", "rank", "pair0", "pair2", "change", "own"} <= set(charts)
    text = json.dumps(charts["spectra"].spec)
    assert "var(--" not in text
    assert "#37308A" in text
    assert "idx" not in text  # no read-out on paper, a legend instead
    assert '"title": null' in text
    assert "#9C8FF5" in json.dumps(report.figures(two, theme="dark")["spectra"].spec)
    svg = charts["count"].save(tmp_path / "count.svg").read_text(encoding="utf-8")
    assert "#0B6A8A" in svg
    assert "hidden3" in svg
    assert charts["count"].save(tmp_path / "count.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(UsageError, match=r"path must end in \.svg, .* or \.json, got .*\.gif"):
        charts["count"].save("count.gif")


def test_an_unknown_theme_is_refused(run):
    with pytest.raises(UsageError, match="theme 'sepia' is unknown"):
        report.figures(run, theme="sepia")
