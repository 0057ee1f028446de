"""Runs over tokens on the page: their words, and the first direction by position."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from nakami import report
from nakami.report.pages.xray import _positions as positions
from nakami.report.pages.xray._data import read
from nakami.results import StageInfo, Xray, compare

LENGTH, WIDTH = 12, 3


def tokens_run(make, **options) -> Xray:
    """The made-up run as if its inputs were tokens, embedded at ``words``."""
    options = {"inputs": 4, "m": 20, "settings": {"input_noun": None, "picture": None}} | options
    base = make(shape=(LENGTH * WIDTH,), label="reader", **options)
    infos = (StageInfo("words", "embedding", (LENGTH, WIDTH)), *base.stages[1:])
    spectra = [
        dataclasses.replace(s, source="words" if s.source == "input" else s.source)
        for s in base.spectra
    ]
    settings = {**base.settings, "stages": [dataclasses.asdict(i) for i in infos]}
    tokens = np.random.default_rng(0).integers(0, 9, (base.n_inputs, LENGTH))
    return dataclasses.replace(
        base, settings=settings, stages=infos, inputs=tokens, spectra=tuple(spectra)
    )


def page_of(run, tmp_path) -> str:
    return report.write(run, tmp_path / "page.html").read_text(encoding="utf-8")


def test_shares_are_the_energy_of_each_position(make):
    run = tokens_run(make)
    shares = positions.position_shares(run, "hidden2")
    for row, s in zip(shares, run.at("hidden2"), strict=True):
        whole = [
            sum(float(v) ** 2 for v in s.right[0, p * WIDTH : (p + 1) * WIDTH])
            for p in range(LENGTH)
        ]
        np.testing.assert_allclose(row, np.array(whole) / sum(whole), rtol=1e-6)
    assert positions.covered(np.eye(3)) == pytest.approx([1, 1, 1])
    assert positions.covered(np.full((1, 8), 1 / 8)) == pytest.approx([8])


def test_the_page_speaks_of_sequences_and_their_embedding(make, tmp_path):
    page = page_of(tokens_run(make, layers=True), tmp_path)
    body = page[page.index("<main") : page.index("</main")]
    for text in (
        "X-ray at 4 sequences",
        "number of embedding directions",
        "Jacobian from the embedding to each stage",
        "tokens, read from words",
        "Directions by position",
        "stage unit per embedding unit",
        "not by the embedding.",
    ):
        assert text in page, text
    for text in (
        "input direction",
        "per input unit",
        "from the input",
        "of the input",
        "{}",
        "{0}",
    ):
        assert text not in body, text
    assert "<img" not in body
    assert 'id="pictures"' not in page


def test_the_bars_are_the_means_of_the_run(make, tmp_path):
    run = tokens_run(make)
    page = page_of(run, tmp_path)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    drawn = data["charts"]["positions2"]["data"]["shares"]
    shares = positions.position_shares(run, "hidden3")
    assert drawn["p"] == list(range(1, LENGTH + 1))
    assert drawn["m"] == pytest.approx(shares.mean(0), rel=1e-3)
    assert drawn["hi"] == pytest.approx(shares.mean(0) + shares.std(0, ddof=1), rel=1e-3)
    heavy = int(shares.mean(0).argmax()) + 1
    assert f"position {heavy} carries most of it" in page


def test_one_sequence_and_two_networks_are_told(make, tmp_path):
    one = page_of(tokens_run(make, inputs=1), tmp_path)
    assert "one sequence" in one
    assert "on average" not in one[one.index('id="positions"') :].partition("</section>")[0]
    old, new = tokens_run(make), tokens_run(make, gain=4.0)
    assert "The same 4 sequences" in page_of(compare(old, new), tmp_path)


def test_no_positions_without_tokens_or_where_the_first_direction_is_noise(make, run):
    assert positions.positions_section(read(run)) is None
    noise = tokens_run(make)
    spectra = [
        dataclasses.replace(s, reliable=np.zeros_like(s.reliable)) if s.stage != "hidden1" else s
        for s in noise.spectra
    ]
    section = positions.positions_section(read(dataclasses.replace(noise, spectra=tuple(spectra))))
    assert [c.name for c in section.figures[0].charts] == ["positions0"]
    assert "At hidden1 the first direction covers" in section.text
    short = dataclasses.replace(noise, inputs=noise.inputs[:, :5])  # no position for each token
    assert positions.positions_section(read(short)) is None


def test_long_sequences_have_few_numbers_below_them(make):
    chart = positions._chart("a", "", np.full(500, 1 / 500), np.zeros(500), 1 / 500)
    ticks = chart.spec["layer"][0]["encoding"]["x"]["axis"]["values"]
    assert ticks == [1, 100, 200, 300, 400, 500]
    assert len(chart.spec["layer"]) == 1


def test_the_page_of_tokens_is_quiet(browser, make, tmp_path):
    path = report.write(tokens_run(make), tmp_path / "page.html")
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=10_000)
    assert page.locator("[data-chart=positions0] svg").count() == 1
    assert said == []
    page.close()
