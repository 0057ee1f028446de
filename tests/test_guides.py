"""The guides: their code runs as it stands there, and prints what stands below it."""

import contextlib
import io
import re

import pytest
import torch

from pages import DOCS

GUIDES = ["start.md", *sorted(page.name for page in DOCS.glob("guide-*.md"))]
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
APART = 0.1  # another processor rounds otherwise, and a training enlarges it


def examples(text):
    """Each ``python`` block with the ``text`` block right below it, or None."""
    found = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", text, re.DOTALL)
    return [(code, shown or None) for code, shown in found]


def last_place(number):
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def check_output(printed, shown):
    """Words must be the same, numbers alike."""
    a, b = (" ".join(text.split()) for text in (printed, shown))
    assert NUMBER.sub("#", a) == NUMBER.sub("#", b), f"printed:\n{printed}\nshown:\n{shown}"
    for one, other in zip(NUMBER.findall(a), NUMBER.findall(b), strict=True):
        within = max(APART * float(other), 1.01 * last_place(other))
        assert abs(float(one) - float(other)) <= within, f"{one} beside {other} in\n{printed}"


def run(page, text):
    names: dict[str, object] = {}
    for code, shown in examples(text):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, page, "exec"), names)
        check_output(out.getvalue(), shown or "")


FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
KANA = r"[\u3040-\u30ff\u4e00-\u9fff]"
NOT_FULL_WIDTH = re.compile(rf"[\uff61-\uff9f]|{KANA}[,.;:!?(]|[,;:!?)]{KANA}")


@pytest.mark.parametrize("page", sorted(page.name for page in (DOCS / "ja").glob("*.md")))
def test_a_guide_in_japanese_has_the_same_code_and_headings(page):
    english, japanese = (path.read_text("utf-8") for path in (DOCS / page, DOCS / "ja" / page))
    assert FENCED.findall(japanese) == FENCED.findall(english)
    levels = [
        re.findall(r"^(#+) ", FENCED.sub("", text), re.MULTILINE) for text in (english, japanese)
    ]
    assert levels[0] == levels[1]
    rows = [len(re.findall(r"^\|", text, re.MULTILINE)) for text in (english, japanese)]
    assert rows[0] == rows[1]
    words = re.sub(r"`[^`\n]*`|\]\([^)]*\)", "x", FENCED.sub("", japanese))
    assert not NOT_FULL_WIDTH.findall(words)


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        run(page, (DOCS / page).read_text("utf-8"))


def test_a_wrong_figure_or_word_in_a_guide_fails():
    page = "```python\nprint('s1 2.31, falls')\n```\n\n```text\ns1 {}\n```\n"
    run("page", page.format("2.32, falls"))
    for wrong, said in {"2.64, falls": "2.31 beside 2.64", "2.31, rises": "s1 2.31, rises"}.items():
        with pytest.raises(AssertionError, match=said):
            run("page", page.format(wrong))
