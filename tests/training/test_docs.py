"""What docs/training.md shows is run as it stands there."""

import re
from pathlib import Path

from nakami import load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"


def test_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second, third = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names = {"__name__": "page"}
    for code in (first, second, third):
        exec(compile(code, PAGE.name, "exec"), names)
        if code is first:
            assert names["losses"][-1] < names["losses"][0] < 2.4
    assert len(names["losses"]) == 2
    assert load(tmp_path / "nakami-out/mlp-training").result["phases"]["all"]["epochs"] == 3
