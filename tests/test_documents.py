"""What README.md and the pages of docs show: their code runs and prints what stands there."""

import itertools
import re
import shlex
from pathlib import Path

import pytest
import torch
import typer

from nakami.cli._app import app
from nakami.results import UsageError
from pages import BLOCK, DOCS, ROOT, run_examples
from test_guides import GUIDES

ALL = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
ELSEWHERE = {  # blocks of code that another test runs, and how many
    "README.md": ("test_documents.py", 1),
    "own-network.md": ("test_documents.py", 4),
    "training.md": ("training/test_docs.py", 15),
    "monitor.md": ("dynamics/test_xray_monitor.py", 2),
}


def has_code(page):
    return BLOCK.search(page.read_text("utf-8")) is not None


def of_guides(page):
    """Pages that test_guides.py runs."""
    return page.name == "start.md" or page.name.startswith("guide-")


PAGES = [p.name for p in ALL if has_code(p) and p.name not in ELSEWHERE and not of_guides(p)]


@pytest.mark.parametrize("page", PAGES)
def test_examples_run_and_print_what_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        run_examples(page)


def test_code_of_every_page_is_run_by_a_test():
    for page in ALL:
        text = page.read_text("utf-8")
        fences = re.findall(r"^[ >]*```+ *(\w+)", text, re.MULTILINE)
        assert set(fences) <= {"console", "pycon", "python", "text", "toml"}, page.name
        blocks = BLOCK.findall(text)
        assert len(blocks) == sum(word in ("pycon", "python") for word in fences), page.name
        assert all(about for mark, about, *_ in blocks if mark == "not run"), page.name
        if page.name in ELSEWHERE:
            test, count = ELSEWHERE[page.name]
            assert len(blocks) == count, f"{page.name}: {test} runs {count} blocks"
            assert page.name in (ROOT / "tests" / test).read_text("utf-8")
        elif of_guides(page):
            assert page.name in GUIDES  # in Japanese the same code, by a test there


def test_a_block_of_code_that_fails_or_lacks_a_module():
    block = "```python\nraise RuntimeError('of the block')\n```\n"
    with pytest.raises(RuntimeError, match="of the block"):
        run_examples("page", block)
    run_examples("page", "<!-- not run: it fails -->\n" + block)
    run_examples("page", "<!-- needs no_such_module -->\n\n" + block)
    with pytest.raises(RuntimeError, match="of the block"):
        run_examples("page", "<!-- needs json, re -->\n" + block)


def test_a_wrong_figure_fails():
    text = (DOCS / "theory-meanfield.md").read_text("utf-8")
    with pytest.raises(AssertionError, match=r"chi_1 1\.134"):
        run_examples("theory-meanfield.md", text.replace("chi_1 1.134", "chi_1 1.135"))


def python_of(page):
    """The names that the code of a page leaves behind, where each block goes on from the last."""
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        exec(compile(code, page.name, "exec"), names)
    return names


def test_python_of_the_readme_runs(capsys):
    names = python_of(ROOT / "README.md")
    assert names["run"].converged
    assert names["J"].shape == (10, 784)
    assert "above 1" in (printed := capsys.readouterr().out)
    assert "torch.optim.AdamW(model.parameters(), lr=" in printed


def test_python_of_the_page_on_own_networks_runs(capsys):
    names = python_of(DOCS / "own-network.md")
    assert names["picture"].shape == (28, 28)
    assert names["run"].converged
    assert names["W"].shape == (10, 8 * 13 * 13 * 10 + 10)
    assert names["ends"].converged
    assert names["lie"].density.shape == names["lie"].points.shape
    assert "above 1" in capsys.readouterr().out


def anchors(page):
    """Where links to a page may lead: its headings as GitHub and the site name them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_links_of_the_documents_lead_somewhere():
    count = 0
    for page in ALL:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
            path, _, anchor = target.partition("#")
            to = page.parent / path if path else page
            if "://" not in target:
                assert to.exists(), f"{page.name}: {target}"
                assert not anchor or anchor in anchors(to), f"{page.name}: {target}"
                count += bool(anchor)
    assert count > 20


def test_commands_of_the_documents_have_the_options_that_they_use():
    tried = 0
    for page in ALL:
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


ENDS = ("|", ">", "&&", ";")


def command_lines():
    """Lines ``$ nakami ...`` of all pages, as words behind the name."""
    for page in ALL:
        text = page.read_text("utf-8").replace("\\\n", " ")
        for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
            start = r"^\$ (?:[A-Z_]+=\S+ )*(?:torchrun .* -m )?nakami\b(.*)$"
            for line in re.findall(start, block, re.MULTILINE):
                words = shlex.split(line, comments=True)
                yield page.name, list(itertools.takewhile(lambda w: w not in ENDS, words))


def taken(words):
    """Let the command read its words, without running; files that it asks for are made."""
    command, words = typer.main.get_command(app), list(words)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    for _ in range(10):
        try:
            return command.make_context("nakami", list(words))
        except UsageError as error:
            missing = re.search(r"must be a file or folder that exists, got '(.*?)'", str(error))
            if missing is None:
                raise
            Path(missing[1]).parent.mkdir(parents=True, exist_ok=True)
            Path(missing[1]).touch()
    raise AssertionError(f"nakami {words}: files are still missing")


def test_command_lines_of_the_documents_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = list(command_lines())
    for page, words in lines:
        assert taken(words), page
    assert len(lines) > 40
    with pytest.raises(Exception, match="--no-such"):
        taken(["xray", "--no-such"])


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
