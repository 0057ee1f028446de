"""The page as a file: one, complete, escaped, and refused with a sentence."""

from __future__ import annotations

import pytest

from nakami import report


def test_page_is_written_whole(run, tmp_path):
    path = report.write(run, tmp_path / "new" / "report.html")
    page = path.read_text()
    assert page.startswith("\n<!doctype html>") or page.lstrip().startswith("<!doctype html>")
    assert "</html>" in page[-20:]
    assert path.stat().st_size < 5_000_000


def test_wrong_thing_is_refused(tmp_path):
    with pytest.raises(
        TypeError, match=r"what must be an Xray or a Comparison, got int; pass nakami\.load"
    ):
        report.write(3, tmp_path / "report.html")
