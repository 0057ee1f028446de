"""The documentation site: what stands in it, and that a broken link stops its build."""

import importlib
import pkgutil
import re
import tomllib
import zlib
from math import nan

import pytest

import nakami
from pages import DOCS, ROOT

stage = pytest.importorskip("tools.site._stage", reason="the site's tools are not installed")
from tools.site import __main__ as site  # noqa: E402
from tools.site import _api, _commands, _figures, _gallery  # noqa: E402
from tools.site._figures import Figure  # noqa: E402
from tools.site._links import BrokenLink, Links  # noqa: E402
from tools.site._tables import Value, tables, value  # noqa: E402

GOOD = """# One page

```{toctree}
other
```

See [a part of the other](other.md#a-part).
"""
OTHER = "# Other\n\n## A part\n\nText.\n"


ORDER = re.compile(r"```\{toctree\}(.*?)```", re.DOTALL)

pytestmark = [  # Sphinx of its own extensions and of myst-parser
    pytest.mark.filterwarnings(f"ignore:{message}")
    for message in (
        "'myst_parser.sphinx_ext.myst_refs.MystReferenceResolver.app' is deprecated",
        "The mapping interface for autodoc options objects is deprecated",
    )
]


@pytest.fixture
def build(tmp_path):
    """Builds a site of two pages: ``build(index, other)`` gives the exit code."""
    pytest.importorskip("sphinx", reason="sphinx is not installed (extra docs)")
    pytest.importorskip("myst_parser", reason="myst-parser is not installed (extra docs)")
    pytest.importorskip("furo", reason="furo is not installed (extra docs)")

    def built(index, other):
        stage.lay(tmp_path / "pages", {"index": index, "other": other})
        return site.render(tmp_path / "pages", tmp_path / "site", tmp_path / "kept")

    return built


def test_a_page_whose_links_lead_somewhere_is_built(build, tmp_path):
    assert build(GOOD, OTHER) == 0
    assert 'href="other.html#a-part"' in (tmp_path / "site" / "index.html").read_text("utf-8")
    stage.lay(tmp_path / "pages", {"index": "# One page\n"})
    assert site.render(tmp_path / "pages", tmp_path / "site", tmp_path / "kept") == 0
    assert not (tmp_path / "site" / "other.html").exists()
    assert (tmp_path / "site" / "search.html").exists()


def test_pages_say_their_language(build, tmp_path):
    index = GOOD.replace("other\n```", "other\nja/one\n```")
    stage.lay(tmp_path / "pages", {"index": index, "other": OTHER, "ja/one": "# ひとつ"})
    assert site.render(tmp_path / "pages", tmp_path / "site", tmp_path / "kept") == 0
    for page, language in (("index", "en"), ("ja/one", "ja")):
        html = (tmp_path / "site" / f"{page}.html").read_text("utf-8")
        assert f'lang="{language}"' in html.partition(">")[2].partition(">")[0]


@pytest.mark.parametrize(
    ("index", "other", "warning"),
    [
        (GOOD.replace("other.md#", "others.md#"), OTHER, "others.md"),
        (GOOD, OTHER.replace("A part", "Another part"), "a-part"),
        (GOOD.replace("\nother\n", "\n"), OTHER, "toctree"),
    ],
    ids=["page", "anchor", "order"],
)
def test_a_broken_link_stops_the_build(build, capfd, index, other, warning):
    assert build(index, other) == 1
    assert warning in capfd.readouterr().err
    assert build(index, other) == 1  # and the next one, too


def test_docstrings_are_shown_as_they_are_written(build, tmp_path):
    reference = "# Other\n\n## A part\n\n```{eval-rst}\n.. autoclass:: nakami.results.Xray\n```\n"
    assert build(GOOD + "\n`nakami.results.Xray`", reference) == 0
    html = (tmp_path / "site" / "other.html").read_text("utf-8")
    for shown in (">Attributes<", "settings", "experiments", "property", "n_inputs"):
        assert shown in html
    for wrong in ("&lt;factory&gt;", "~typing", ">Type<", ">Variables<", "Return type"):
        assert wrong not in html
    index = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert 'href="other.html#nakami.results.Xray"' in index


def test_links_of_the_repository_become_links_of_the_site(tmp_path):
    links = Links(ROOT, tmp_path, {DOCS / "lens.md": "lens", ROOT / "README.md": "overview"})
    page = "[a](lens.md#measured) [b](../README.md) [the `docs`](../docs) ![c](images/page.png)"
    turned = links.turned(page, DOCS / "reach.md", "deep/reach")
    picture = "../files/docs/images/page.png"
    assert turned == f"[a](../lens.md#measured) [b](../overview.md) the `docs` ![c]({picture})"
    assert (tmp_path / "files/docs/images/page.png").exists()
    code = "```python\nx[a](b.md)\n```\n"
    assert links.turned(code, DOCS / "reach.md", "reach") == code
    for wrong, said in (("[a](none.md)", "none.md does not exist"), ("[a](http://)", "no address")):
        with pytest.raises(BrokenLink, match=said):
            links.turned(wrong, DOCS / "reach.md", "reach")


def test_links_of_all_pages_lead_to_pages_of_the_site(tmp_path):
    sources = stage.sources_of(ROOT)
    links = Links(ROOT, tmp_path, sources | _gallery.pages_of(ROOT))
    for file, page in sources.items():
        if file.is_file():
            assert links.turned(file.read_text("utf-8"), file, page)
    with pytest.raises(BrokenLink, match="is no page of the site"):
        Links(ROOT, tmp_path, {}).turned("[a](lens.md)", DOCS / "reach.md", "reach")


def test_each_page_of_docs_stands_once_in_the_order():
    sections = tomllib.loads((DOCS / "nav.toml").read_text("utf-8"))["section"]
    listed = [re.sub(r".*<(.*)>$", r"\1", p) for section in sections for p in section["pages"]]
    assert len(set(listed)) == len(listed)
    beside = {*stage.BESIDE.values(), "gallery/index", "api/index", "commands"}
    own = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    assert set(listed) == own | beside


def test_links_of_the_first_page_lead_to_pages_of_the_order():
    text = stage.front(ROOT)
    order = re.findall(r"^(?:.*<)?([\w/-]+)>?$", "".join(re.findall(ORDER, text)), re.MULTILINE)
    linked = re.findall(r"\]\(([\w/-]+)\.md\)", text)
    assert len(linked) > 15
    assert set(linked) <= set(order)


def test_every_reproduction_has_a_figure_or_a_reason_why_not():
    for one in _gallery.reproductions(ROOT):
        drawn = [entry for entry in one.figures if "reason" not in entry]
        assert drawn or one.kept or any(entry["reason"] for entry in one.figures), one.name


def test_figures_show_the_numbers_of_the_tables():
    (one,) = (r for r in _gallery.reproductions(ROOT) if r.name == "culture")
    shown = _figures.marks(Figure(**one.figures[0]), one.results[0].read_text("utf-8"))
    alone = [mark.at for mark in shown if (mark.row, mark.series) == ("alone", "accuracy")]
    assert alone == [Value(0.746, 0.742, 0.75)]
    assert [m.at.value for m in shown if m.series == "theirs" and m.row == "alone"] == [0.83, 0.78]


def test_numbers_beside_ours_stand_in_the_text():
    for one in _gallery.reproductions(ROOT):
        texts = (one.theirs, one.ours, *(file.read_text("utf-8") for file in one.results))
        known = {float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", "\n".join(texts))}
        for entry in one.figures:
            for given in (entry.get(key, {}) for key in ("theirs", "beside", "levels")):
                numbers = [n for v in given.values() for n in (v if isinstance(v, list) else [v])]
                assert set(numbers) <= known, one.name


def test_all_figures_find_their_columns(tmp_path):
    drawn = 0
    for one in _gallery.reproductions(ROOT):
        for entry in one.figures:
            if "reason" not in entry:
                text = one.results[0].read_text("utf-8")
                (made,) = [_figures.chart_of(Figure(**entry), text, one.title)]
                assert len(next(iter(made.data.values()))["x"]) > 1, one.name
                drawn += 1
    assert drawn > 30
    target = tmp_path / "figure.png"
    _figures.draw(Figure("a, %", 1, ["a"]), "| | a |\n| - | - |\n| b | 1 ± 0.5 |", target, "c")
    assert target.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("0.746 ± 0.004", (0.746, 0.742, 0.75)),
        ("3.1 ± 0.9 (1 to 7)", (3.1, 2.2, 4.0)),
        ("1.63 (1.02 to 2.52), 10 steps", (1.63, 1.02, 2.52)),
        ("-3.33 to -3.09", (-3.21, -3.33, -3.09)),
        ("14 of 28; 6.2", (0.5, nan, nan)),
        ("100,000", (1e5, nan, nan)),
        ("6.9e-17", (6.9e-17, nan, nan)),
        ("about -84.55 (quoted)", (-84.55, nan, nan)),
    ],
)
def test_numbers_of_cells(cell, wanted):
    found = value(cell)
    assert (found.value, found.low, found.high) == pytest.approx(wanted, nan_ok=True)
    assert value("none fits") is None


def test_rows_of_tables():
    text = "text\n| a | b | b |\n| --- | --- | --- |\n| x | 1 \\| 2 | 3 |\n|  | 4 | 5 |\n"
    assert tables(text) == [[{"a": "x", "b": "1 | 2"}, {"a": "x", "b": "4"}]]


def test_every_option_of_every_command_is_on_its_page():
    page = _commands.page()
    for name, command in _commands.commands():
        section = page.split(f"## `{name}`\n")[1].split("\n## ")[0]
        for option in command.params:
            assert option.hidden or all(
                f"`{word}`" in section for word in option.opts if "-" in word
            )


def test_every_public_name_is_in_the_reference():
    pages, count = _api.pages(), 0
    text = "\n".join(pages.values())
    for found in pkgutil.walk_packages(nakami.__path__, "nakami."):
        inner = found.name.split(".")[1:]
        if not found.ispkg or inner[0] == "cli" or any(part[0] == "_" for part in inner):
            continue
        names = getattr(importlib.import_module(found.name), "__all__", [])
        if "pages" in inner or not names:  # a page of a report has no public names
            continue
        for name in names:
            home = re.search(rf"`{name} <(nakami[\w.]*)>`", pages[f"api/{found.name}"])
            assert home, f"{found.name}.{name}"
            assert re.search(rf"^\.\. auto\w+:: {re.escape(home[1])}$", text, re.MULTILINE), home[1]
            count += 1
    assert count > 600


@pytest.mark.slow
def test_the_whole_site_has_no_warning_and_needs_no_network(tmp_path):
    """Takes 70 CPU seconds."""
    for package in ("sphinx", "myst_parser", "furo", "vl_convert"):
        pytest.importorskip(package, reason=f"{package} is not installed (extra docs)")
    stage.stage(ROOT, tmp_path / "pages")
    assert site.render(tmp_path / "pages", tmp_path / "site", tmp_path / "kept") == 0
    names = {path for path, home in _api.homes(_api.public_names()).items() if path == home}
    inventory = (tmp_path / "site" / "objects.inv").read_bytes().split(b"\n", 4)[4]
    listed = {line.split(" ")[0] for line in zlib.decompress(inventory).decode().splitlines()}
    assert names <= listed
    loaded = re.compile(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*\"")
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 100
    for page in pages:
        text = page.read_text("utf-8")
        assert not loaded.search(text), page.name
        assert str(ROOT) not in text, page.name
