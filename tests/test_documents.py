"""What README.md and the pages of docs show: their code runs and prints what stands there."""

import re

import pytest
import typer

from nakami.cli._app import app
from pages import DOCS, ROOT, run_examples

PAGES = sorted(page.name for page in DOCS.glob("*.md") if "```pycon" in page.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_examples_print_what_the_page_shows(page):
    run_examples(page)


def test_a_wrong_figure_fails():
    text = (DOCS / "theory-meanfield.md").read_text("utf-8")
    with pytest.raises(AssertionError, match=r"chi_1 1\.134"):
        run_examples("theory-meanfield.md", text.replace("chi_1 1.134", "chi_1 1.135"))


def test_python_of_the_readme_runs(capsys):
    text = (ROOT / "README.md").read_text("utf-8")
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):  # each goes on from the last
        exec(compile(code, "README.md", "exec"), names)
    assert names["picture"].shape == (28, 28)
    assert names["run"].converged
    assert names["W"].shape == (10, 8 * 13 * 13 * 10 + 10)
    assert names["ends"].converged
    assert names["lie"].density.shape == names["lie"].points.shape
    assert "above 1" in capsys.readouterr().out


def test_links_of_the_documents_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands_of_the_documents_have_the_options_that_they_use():
    tried = 0
    for page in (ROOT / "README.md", *DOCS.glob("*.md")):
        text = page.read_text("utf-8").replace("\\\n", " ")
        for line in re.findall(r"(?:^|[`$] ?)nakami ([a-z][^`#\n]*)", text, re.MULTILINE):
            command, words = typer.main.get_command(app), line.split()
            while hasattr(command, "commands") and words and words[0] in command.commands:
                command = command.commands[words.pop(0)]
            taken = {name for option in command.params for name in option.opts} | {"--help"}
            used = {word for word in words if word.startswith("--")}
            assert used <= taken, f"{page.name}: nakami {line}"
            tried += len(used)
    assert tried > 20


def test_what_is_said_of_neighbours_is_held_by_tests_that_exist():
    tests = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    rows = re.findall(r"^\|.*\|$", (DOCS / "neighbours.md").read_text("utf-8"), re.MULTILINE)
    cells = [row.strip("| ").split(" | ") for row in rows if not row.startswith("| ---")]
    held = [row[-1] for row in cells if row[-1] != "held by"]
    assert len(held) > 20
    for cell in held:
        named = re.findall(r"`([^`]+)`", cell)
        assert named, cell
        for name in named:
            known = name in tests or (name.startswith("findings/") and (ROOT / name).exists())
            assert known, f"{name} does not exist"


def test_each_reproduction_has_one_row():
    scripts = sorted(f.name for f in (ROOT / "reproductions").glob("[!_]*.py"))
    if not scripts:
        pytest.skip("the reproductions are not part of this installation")
    rows = re.findall(r"^\| `(\w+\.py)`", (DOCS / "reproductions.md").read_text("utf-8"), re.M)
    assert sorted(rows) == scripts
