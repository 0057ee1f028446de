"""Areas by index on the page of an x-ray."""

import dataclasses

import numpy as np

from nakami import report
from nakami.report.pages.xray._data import read
from nakami.report.pages.xray._locality import locality_figure, mean_areas
from nakami.report.pages.xray._pictures import pictures_section


def with_areas(run, rising=True):
    """The run with areas that rise, or fall, with the index."""
    spectra = []
    for s in run.spectra:
        areas = 10.0 + s.input + np.arange(len(s.values))
        spectra.append(dataclasses.replace(s, areas=areas if rising else areas[::-1]))
    return dataclasses.replace(run, spectra=tuple(spectra))


def test_older_runs_have_no_areas(run):
    assert locality_figure(read(run)) is None
    assert "rank correlation" not in pictures_section(read(run)).text


def test_the_share_of_inputs_is_said_with_its_interval(run, tmp_path):
    for rising, holds, ends in ((True, "In 16 of 16", "81 to 100"), (False, "In 0 of 16", "0 to")):
        tried = with_areas(run, rising)
        text = pictures_section(read(tried)).text.replace("\u00a0", " ")
        assert holds in text
        assert ends in text
    figure = locality_figure(read(with_areas(run)))
    assert len(figure.charts) == 1
    stage = run.names[-1]
    assert mean_areas(with_areas(run), stage)[0] == 10 + np.mean(range(16))
    assert figure.table.rows[-1][5] == "16 of 16"
    page = report.write(with_areas(run), tmp_path / "page.html").read_text("utf-8")
    assert "Area of each right singular vector" in page
