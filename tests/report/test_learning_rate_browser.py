"""The pages of learning rates and of theory in a real browser."""

from __future__ import annotations

import pytest

from checks import neighbour
from nakami import report
from nakami.theory import meanfield

RATES, BROWSER = neighbour("report", "test_learning_rate_page"), neighbour("report", "test_browser")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rates")
    theory = meanfield.predict((784, 1000, 1000, 10), "tanh", 3, 0.64, samples=100)
    about = {**RATES.ABOUT, "model": "long_name_" * 20}
    return {
        "rates": report.write(RATES.made_up(), folder / "rates.html", about),
        "theory": report.write(theory, folder / "theory.html"),
    }


@pytest.mark.parametrize("name", ["rates", "theory"])
@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1280, "light")])
def test_every_chart_is_drawn_in_silence(browser, pages, name, width, theme):
    with BROWSER.opened(browser, pages[name], width=width, theme=theme) as page:
        BROWSER.is_quiet(page, pages[name])
        BROWSER.no_wider_than_window(page)
        charts = page.locator("[data-chart]").count()
        assert charts == (5 if name == "rates" else 6)
        assert page.locator("[data-chart] svg").count() == charts
        drawn = page.inner_text("main") + "".join(page.locator(".chart").all_inner_texts())
        assert "NaN" not in drawn
        assert "undefined" not in drawn
