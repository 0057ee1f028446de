"""``plot()`` of every result that has charts: shown in notebooks, saved, chosen by name."""

import base64
import functools
import json
from importlib import import_module
from tempfile import TemporaryDirectory

import altair
import pytest
import torch
import vl_convert
from torch import nn

import nakami
from nakami import dynamics, geometry, recurrent, report, sampling, transport
from nakami.report.page._kinds import KINDS, PLOTS
from nakami.results import Plotted, TrainedPhase, TrainingReport, UsageError
from nakami.theory import meanfield, phase, plateau

X = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


@functools.cache
def xray():
    return nakami.xray(net(), X)


@functools.cache
def recurrent_xray():
    torch.manual_seed(0)
    cell = nn.GRU(3, 4, batch_first=True).double()
    return recurrent.xray(cell, torch.randn(4, 30, 3).double())


def batches():
    return [(X, torch.tensor([0, i % 3])) for i in range(8)]


def lens_run():
    net, folder = nn.Sequential(*(nn.Linear(4, 4) for _ in "123")).double(), TemporaryDirectory()
    with folder:
        return dynamics.lens_run(net, torch.randn(5, 4).double(), folder.name, ["0", "1"], "2")


def history():
    monitor = dynamics.XrayMonitor(net(), X)
    monitor.look()
    monitor.step(100)  # the same weights again
    monitor.look()
    return monitor.history


RESULTS = {
    "Xray": xray,
    "XrayHistory": history,
    "Comparison": lambda: nakami.compare(xray(), xray()),
    "RecurrentXray": recurrent_xray,
    "LensRun": lens_run,
    "Prediction": lambda: meanfield.predict([20, 30, 30, 5], "tanh", 1.5, 0.1, samples=10),
    "PhaseStudy": lambda: phase.study(0.7, [0.1], [1.0], points=0),
    "SamplingStudy": lambda: sampling.study((1.0,)),
    "TransportStudy": lambda: transport.study(0.01, (0.01, 0.1), size=8),
    "PlateauStudy": lambda: plateau.study([2], starts=1),
    "TrainingSetting": lambda: nakami.tune(net(), batches(), "cross_entropy", steps=1500),
    "LearningRate": lambda: nakami.learning_rate(net(), batches(), "cross_entropy"),
    "TrainingReport": lambda: TrainingReport(
        "small", (TrainedPhase("all", "loss", (2.0, 1.0), 10, 1.0),), (), (), {"seed": 0}
    ),
    "LearningRateReport": lambda: geometry.learning_rate_report(
        net(), [(X, torch.tensor([0, 1]))], "cross_entropy"
    ),
}


def test_every_result_with_a_page_is_here():
    kinds = [kind for _, kind in KINDS.items()]
    assert {name.rpartition(":")[2] for kind in kinds for name in kind.results} == set(RESULTS)
    for kind in kinds:
        for module, _, name in (place.partition(":") for place in kind.results):
            assert issubclass(getattr(import_module(module), name), Plotted)


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_prints_and_shows_itself_and_becomes_charts_and_a_table(kind):
    result = RESULTS[kind]()
    assert repr(result).startswith(f"{kind}(")
    assert "<table>" in result._repr_html_()
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    assert isinstance(result.to_pandas(), pandas.DataFrame)
    charts = report.figures(result)
    assert result.plot() == next(iter(charts.values()))
    last = list(charts)[-1]
    assert result.plot(last).name == last
    for drawing in charts.values():
        altair.LayerChart.validate(drawing.spec)  # checks the schema
        vl_convert.vegalite_to_vega(drawing.spec, vl_version="5.20")  # of notebooks


A = torch.diag(torch.tensor([300.0, 2.0, 0.01], dtype=torch.float64))
BARE = {
    "SVDResult": (lambda: nakami.svd(A, k=2), [300, 2]),
    "EighResult": (lambda: nakami.eigh(-A, k=3), [-300, -2, -0.01]),
    "Spectrum": (lambda: xray().spectra[0], None),
    "Lens": (lambda: nakami.lens(net(), X, "0", "1"), None),
    "LyapunovSpectrum": (lambda: recurrent_xray().layers[0].exponents, None),
    "DensityResult": (lambda: nakami.density(A), None),
}


def test_every_result_without_a_page_that_has_charts_is_here():
    kinds = [kind for _, kind in PLOTS.items()]
    assert {name.rpartition(":")[2] for kind in kinds for name in kind.results} == set(BARE)


@pytest.mark.parametrize("kind", BARE)
def test_results_without_a_page_have_charts_too(kind):
    make, values = BARE[kind]
    result = make()
    charts = report.figures(result)
    assert result.plot() == next(iter(charts.values()))
    for name, drawing in charts.items():
        altair.LayerChart.validate(drawing.spec)
        rows = drawing.spec["datasets"][name]
        assert all(row["lo"] <= row["y"] <= row["hi"] for row in rows)
        assert vl_convert.vegalite_to_svg(drawing.spec).startswith("<svg")
    if values:
        assert sorted(row["y"] for row in rows) == pytest.approx(sorted(values))
    with pytest.raises(UsageError, match="name must be one of '"):
        result.plot("rank")


def test_a_notebook_gets_a_chart_and_pictures_in_its_place():
    drawing = xray().plot()
    shown = drawing._repr_mimebundle_()
    spec = shown["application/vnd.vegalite.v5+json"]
    assert spec["$schema"].endswith("vega-lite/v5.json")
    assert spec["datasets"] == drawing.spec["datasets"]
    assert base64.b64decode(shown["image/png"])[1:4] == b"PNG"
    assert shown["image/svg+xml"].startswith("<svg")
    assert repr(drawing).startswith("Drawing('spectra': ")
    json.dumps(shown)


def test_charts_are_saved(tmp_path):
    drawing = xray().plot("rank", theme="dark")
    assert drawing.save(tmp_path / "new" / "a.svg").read_text("utf-8").startswith("<svg")
    assert drawing.save(tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    assert json.loads(drawing.save(tmp_path / "a.json").read_text("utf-8")) == drawing.spec
    with pytest.raises(UsageError, match=r"path must end in \.svg, \.png, \.html or \.json, got"):
        drawing.save(tmp_path / "a.gif")


def test_a_saved_page_draws_without_a_network(tmp_path, browser):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(xray().plot().save(tmp_path / "a.html").as_uri())
    page.wait_for_selector("svg")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    page.close()


def test_an_unknown_name_is_refused_with_all_names():
    rule = r"name must be one of 'spectra', 'count', 'rank'.*, got 'spectrum'; leave it out for 's"
    with pytest.raises(UsageError, match=rule):
        xray().plot("spectrum")
    with pytest.raises(UsageError, match="theme 'sepia' is unknown"):
        xray().plot(theme="sepia")
