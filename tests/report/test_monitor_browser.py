"""The film of a training in a real browser: charts are drawn, and the sliders move together."""

from __future__ import annotations

import pytest

from checks import neighbour
from nakami import report

FILM, BROWSER = neighbour("report", "test_monitor_page"), neighbour("report", "test_browser")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    found = FILM.history(*FILM.THREE)
    return report.write(found, tmp_path_factory.mktemp("film") / "film.html")


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1280, "light")])
def test_the_film_is_drawn_and_its_sliders_move_together(browser, film, width, theme):
    with BROWSER.opened(browser, film, width=width, theme=theme) as page:
        BROWSER.is_quiet(page, film)
        BROWSER.no_wider_than_window(page)
        assert page.locator("[data-chart] svg").count() == 7
        frames = page.locator('[data-chart^="frames"]')
        assert all("step 200" in text for text in frames.all_text_contents())
        page.locator('[data-chart="frames0"] input').fill("0")
        page.wait_for_function(
            "[...document.querySelectorAll('[data-chart^=\"frames\"]')]"
            ".every(e => e.textContent.includes('step 0'))"
        )
        assert page.locator('[data-chart="frames1"] input').input_value() == "0"
