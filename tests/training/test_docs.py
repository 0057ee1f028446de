"""What docs/training.md shows is run as it stands there."""

import re
from pathlib import Path

from nakami import load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"


def test_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    codes = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names = {"__name__": "page"}
    ends = []
    for code in codes:
        exec(compile(code, PAGE.name, "exec"), names)
        ends.append(names["losses"])
    assert ends[0][-1] < ends[0][0] < 2.4
    assert len(ends[2]) == len(ends[3]) == 2
    assert len(codes) == 15
    assert names["threes"].shape == (4, 784)
    assert names["drawn"].shape == (20, 784)
    assert names["bound"].value < 0 < names["bound"].standard_error < 1
    assert ends[7][-1] < ends[7][0]
    assert ends[8][-1] < ends[8][0]
    assert load(tmp_path / "nakami-out/mlp-training").result["phases"]["all"]["epochs"] == 3
