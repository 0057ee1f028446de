"""The page of a training's setting in a real browser."""

from __future__ import annotations

import pytest

from checks import neighbour
from nakami import report

PAGES, BROWSER = neighbour("report", "test_setting_page"), neighbour("report", "test_browser")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    about = {**PAGES.ABOUT, "model": "long_name_" * 20}
    return report.write(PAGES.setting(), tmp_path_factory.mktemp("setting") / "a.html", about)


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1200, "light")])
def test_every_chart_is_drawn_in_silence(browser, path, width, theme):
    with BROWSER.opened(browser, path, width=width, theme=theme) as page:
        BROWSER.is_quiet(page, path)
        BROWSER.no_wider_than_window(page)
        assert page.locator("[data-chart] svg").count() == 4
        drawn = page.inner_text("main") + "".join(page.locator(".chart").all_inner_texts())
        assert "NaN" not in drawn
        assert "undefined" not in drawn


def test_the_code_of_a_host_is_chosen_by_hand_or_key_and_copied(browser, path):
    found = PAGES.setting()
    with BROWSER.opened(browser, path) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        assert page.locator("pre:visible").all_inner_texts() == [found.snippet("torch")]
        page.locator("label", has_text="transformers").click()
        assert page.locator("pre:visible").all_inner_texts() == [found.snippet("transformers")]
        page.keyboard.press("ArrowLeft")
        assert page.locator("pre:visible").all_inner_texts() == [found.snippet("lightning")]
        page.get_by_role("button", name="Copy").click()
        page.get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == found.snippet("lightning")
        BROWSER.is_quiet(page, path)


def test_where_copying_is_refused_the_code_is_selected(browser, path):
    with BROWSER.opened(browser, path) as page:
        refuse = "() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }"
        page.evaluate(refuse)
        page.get_by_role("button", name="Copy").click()
        page.get_by_role("button", name="Selected").wait_for()
        assert page.evaluate("getSelection().toString()").strip().startswith("import math")
        BROWSER.is_quiet(page, path)
