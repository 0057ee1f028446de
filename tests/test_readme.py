"""What the README shows is run as it stands there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


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
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
