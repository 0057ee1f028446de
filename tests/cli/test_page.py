"""What the page needs is looked for before the work."""

import ast
import sys
from pathlib import Path

from nakami import report
from nakami.cli import _runs


def test_everything_that_the_page_imports_is_looked_for():
    found = set()
    for file in Path(report.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).partition(".")[0])
    assert "PIL" in found
    core = {"nakami", "numpy", "markupsafe"}  # markupsafe comes with jinja2
    extra = {name for name in found - core if name not in sys.stdlib_module_names}
    assert extra == set(_runs.DRAWN_BY)
