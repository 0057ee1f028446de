"""The documentation site: what stands in it, and that a broken link stops its build."""

import importlib
import pkgutil
import re
import tomllib

import pytest

import nakami
from pages import DOCS, ROOT

stage = pytest.importorskip("tools.site._stage", reason="the site's tools are not installed")
from tools.site import __main__ as site  # noqa: E402
from tools.site import _api  # noqa: E402
from tools.site._links import BrokenLink, Links  # noqa: E402

GOOD = """# One page

```{toctree}
other
```

See [a part of the other](other.md#a-part).
"""
OTHER = "# Other\n\n## A part\n\nText.\n"


pytestmark = pytest.mark.filterwarnings(  # Sphinx of another release of myst-parser
    "ignore:'myst_parser.sphinx_ext.myst_refs.MystReferenceResolver.app' is deprecated"
)


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


def test_each_page_of_docs_stands_once_in_the_order():
    sections = tomllib.loads((DOCS / "nav.toml").read_text("utf-8"))["section"]
    listed = [page for section in sections for page in section["pages"]]
    assert len(set(listed)) == len(listed)
    beside = {*stage.BESIDE.values(), "gallery/index", "api/index"}
    assert set(listed) == {page.stem for page in DOCS.glob("*.md")} | beside


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
