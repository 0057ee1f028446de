"""The page in a real browser: quiet, self-contained, readable by hand, key and screen reader."""

from __future__ import annotations

import dataclasses
import re
from contextlib import contextmanager

import numpy as np
import pytest

WIDTHS = (360, 390, 820, 1280, 1920)


@contextmanager
def opened(browser, path, *, width=1280, theme="light", **options):
    """The page, with everything it said and asked for."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, **options
    )
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=10_000)
    yield page
    context.close()


def is_quiet(page, path):
    assert page.said == []
    outside = [u for u in page.asked if u != path.as_uri() and not u.startswith("data:")]
    assert outside == []


def no_wider_than_window(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_width_is_quiet_and_fits(browser, written, two, theme):
    path = written("two", two)
    with opened(browser, path, theme=theme) as page:
        assert int(page.evaluate("document.documentElement.dataset.ready")) > 0  # it got ready
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(50)
            no_wider_than_window(page)
        is_quiet(page, path)


def test_a_phone_draws_charts_that_fit(browser, written, two):
    path = written("two", two)
    with opened(browser, path, width=360, has_touch=True, is_mobile=True) as page:
        no_wider_than_window(page)
        for svg in page.query_selector_all(".chart svg"):
            assert svg.bounding_box()["width"] <= 360
        heights = [e.bounding_box()["height"] for e in page.query_selector_all(".seg label")]
        visible = [h for h in heights if h]
        assert min(visible) >= 34
        is_quiet(page, path)


def shown(text: str) -> float:
    """A number as the read-out prints it."""
    return float(text.replace("−", "-").replace(",", ""))


def readout(page, group="spectra"):
    return page.inner_text(f"[data-read={group}] output")


def test_pointer_and_slider_read_the_same_values_as_the_run(browser, written, run):
    mean, sd = run.mean_sd("hidden2")
    with opened(browser, written("run", run)) as page:
        slider = page.locator("[data-read=spectra] input")
        slider.focus()
        page.keyboard.press("Home")
        for _ in range(6):
            page.keyboard.press("ArrowRight")
        assert page.inner_text("[data-read=spectra] label") == "index 7"
        found = re.search(r"hidden2 (\S+?)\s±\s(\S+)", readout(page))
        assert shown(found[1]) == pytest.approx(mean[6], rel=0.01)
        assert shown(found[2]) == pytest.approx(sd[6], rel=0.05)
        assert "index 7: hidden1" in slider.get_attribute("aria-valuetext")
        by_slider = readout(page)
        page.keyboard.press("End")
        assert page.inner_text("[data-read=spectra] label") == "index 784"
        plot = page.locator("[data-chart=spectra] svg").bounding_box()
        hit = False
        for step in range(80, 300, 6):  # index 7 lies in the left half of a log axis
            page.mouse.move(plot["x"] + step, plot["y"] + 150)
            if page.inner_text("[data-read=spectra] label") == "index 7":
                hit = True
                break
        assert hit
        assert readout(page) == by_slider


def path_of(page, chart="spectra"):
    return page.get_attribute(f"[data-chart={chart}] .mark-line path", "d")


def test_switches_change_what_is_drawn(browser, written, two):
    with opened(browser, written("two", two)) as page:
        first = path_of(page)
        page.check("input[name=spectra-y][value=linear]", force=True)
        page.wait_for_function("d => document.querySelector"
                               "('[data-chart=spectra] .mark-line path').getAttribute('d') !== d",
                               arg=first)  # fmt: skip
        linear = path_of(page)
        page.check("input[name=spectra-x][value=linear]", force=True)
        page.wait_for_function("d => document.querySelector"
                               "('[data-chart=spectra] .mark-line path').getAttribute('d') !== d",
                               arg=linear)  # fmt: skip
        stages = page.locator("[data-stage]")
        assert [s.is_visible() for s in stages.all()] == [False, False, True]
        page.check("[data-stages] input[value='0']", force=True)
        assert [s.is_visible() for s in stages.all()] == [True, False, False]
        assert page.said == []


def test_a_cut_curve_is_named_as_cut_and_every_stage_can_be_seen(browser, written, mixed):
    path = written("mixed", mixed())
    with opened(browser, path) as page:
        assert "conv1.relu, cut at 100" in page.inner_html("[data-chart=spectra]")
        assert "≥ 100" in page.locator("[data-chart=count] .mark-text text").all_text_contents()
        drawn = page.locator("[data-chart=count] .mark-symbol path").all()
        shapes = [path.get_attribute("d") for path in drawn]
        assert ["A" in d for d in shapes] == [False, True, True, True, True]  # arcs make circles
        for stage in range(5):
            page.check(f"[data-stages] input[value='{stage}']", force=True)
            shown = [s.is_visible() for s in page.locator("[data-stage]").all()]
            assert shown == [i == stage for i in range(5)]
        is_quiet(page, path)


def labelled(make, wide, tall):
    """A run of which the counts of two stages are as given."""
    base = make(names=["a", "b"], inputs=3, k=100)
    counts = {"a": wide, "b": tall}
    found = [
        dataclasses.replace(s, values=np.where(np.arange(100) < counts[s.stage], 2.0, 0.5))
        for s in base.spectra
    ]
    return dataclasses.replace(base, spectra=tuple(found))


@pytest.mark.parametrize("last", [90, 20])
def test_a_number_leaves_its_place_only_where_a_line_crosses_it(browser, written, make, last):
    rows = """[...document.querySelectorAll('[data-chart=count] .mark-text text')]
        .map(e => [e.textContent, e.getAttribute('text-anchor')])"""
    with opened(browser, written(f"numbers-{last}", labelled(make, 40, last))) as page:
        places = dict(page.evaluate(rows))
        # the usual place is right above: a line that rises from the point runs through it
        assert places["40"] == ("end" if last == 90 else "start")
        boxes = [e.bounding_box() for e in page.query_selector_all("[data-chart=count] text")]
        assert all(b["x"] >= 0 for b in boxes)
        assert page.said == []


def test_tables_that_scroll_say_so_on_a_phone_only(browser, written, two):
    pairs = """[...document.querySelectorAll('.scroll')].filter(t => t.checkVisibility()).map(t =>
        [t.previousElementSibling.checkVisibility(), t.scrollWidth > t.clientWidth + 1])"""
    with opened(browser, written("two", two), width=1280) as page:
        assert not any(hint for hint, _ in page.evaluate(pairs))
        page.set_viewport_size({"width": 360, "height": 900})
        page.wait_for_timeout(100)
        closed = page.evaluate(pairs)
        assert all(hint == wide for hint, wide in closed)
        assert any(wide for _, wide in closed)
        page.click("summary >> nth=0")
        page.wait_for_timeout(100)
        opened_too = page.evaluate(pairs)
        assert len(opened_too) == len(closed) + 1
        assert all(hint == wide for hint, wide in opened_too)


STROKE = "getComputedStyle(document.querySelector('[data-chart=spectra] .mark-line path')).stroke"


def test_the_theme_changes_colours_without_drawing_again(browser, written, run):
    with opened(browser, written("run", run)) as page:
        page.evaluate("window.kept = document.querySelector('[data-chart=spectra] svg')")
        light, paper = page.evaluate(STROKE), "getComputedStyle(document.body).backgroundColor"
        assert light == "rgb(183, 128, 26)"
        page.check("#theme input[value=dark]", force=True)
        assert page.evaluate(STROKE) == "rgb(233, 185, 73)"
        assert page.evaluate(paper) == "rgb(19, 21, 24)"
        assert page.evaluate("kept === document.querySelector('[data-chart=spectra] svg')")
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate(paper) == "rgb(19, 21, 24)"  # remembered
        page.emulate_media(media="print")
        assert page.evaluate(paper) == "rgb(255, 255, 255)"


def test_tab_reaches_every_control_in_order(browser, written, two):
    query = "a[href], summary, input[type=range], input:checked, [tabindex='0']"
    with opened(browser, written("two", two)) as page:
        wanted = page.evaluate(
            "q => [...document.querySelectorAll(q)].filter(e => e.checkVisibility())"
            ".map((e, i) => (e.dataset.at = i, i))",
            query,
        )
        reached = []
        for _ in wanted:
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.dataset.at"))
        assert reached == [str(i) for i in wanted]
        assert len(wanted) > 20


def test_a_screen_reader_finds_names(browser, written, two):
    with opened(browser, written("two", two)) as page:
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.locator("h1").count() == 1
        pictures = page.locator("img")
        assert pictures.count() > 50
        for alt in page.eval_on_selector_all("img", "all => all.map(e => e.alt)"):
            assert alt
        assert "covers" in page.get_attribute("img.sv", "alt")
        charts = page.locator("[data-chart]").count()
        svgs = page.locator("[data-chart][role=graphics-document][aria-label*='hidden']")
        assert svgs.count() == charts
        assert page.eval_on_selector_all(
            "img", "all => all.filter(e => !e.complete || !e.naturalWidth).length"
        ) == 0  # fmt: skip


EDGES = {
    "one-input": {"inputs": 1},
    "one-value": {"k": 1, "stages": 1},
    "two-values": {"shape": (2,), "m": 3, "settings": {"picture": None}},
    "all-below": {"gain": 0.3},
    "unconverged": {"k": 60, "converged": False},
    "large": {"stages": 12, "k": 500, "shape": (3, 32, 32), "m": 4000, "rate": 900.0},
}


@pytest.mark.parametrize("case", EDGES)
def test_edge_cases_draw_in_silence(browser, written, make, case):
    path = written(case, make(**EDGES[case]))
    assert path.stat().st_size < 10_000_000
    with opened(browser, path, width=390) as page:
        assert int(page.evaluate("document.documentElement.dataset.ready")) > 0  # it got ready
        is_quiet(page, path)
        no_wider_than_window(page)
        text = page.inner_text("main") + page.inner_html(".chart")
        assert not re.search(r"\b(NaN|undefined|Infinity|null)\b", text)


def test_hostile_labels_stay_text(browser, written, make):
    evil = '</script><img src=x onerror="alert(1)">"><img onerror>日本語' + "x" * 200
    path = written("hostile", make(names=[f"{c}{evil}" for c in "abc"], label=evil, inputs=3))
    with opened(browser, path, width=360) as page:
        is_quiet(page, path)
        no_wider_than_window(page)
        assert page.locator("img[onerror]").count() == 0


def test_blocked_storage_is_no_trouble(browser, written, run):
    path = written("run", run)
    context = browser.new_context()
    page = context.new_page()
    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})"
    )
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.check("#theme input[value=dark]", force=True)
    assert said == []
    context.close()
