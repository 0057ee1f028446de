"""The command line starts light: nothing heavy is imported before a command needs it."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "scipy", "altair", "jinja2")
CHECK = """
import sys
{code}
found = [name for name in {heavy!r} if name in sys.modules]
assert not found, found
"""


def run(code: str, heavy: tuple[str, ...] = HEAVY) -> subprocess.CompletedProcess[str]:
    script = CHECK.format(code=code, heavy=heavy)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *([name, "--help"] for name in ("xray", "stages", "init", "train")),
        ["--version"],
        [],
    ],
)
def test_help_leaves_torch_out(arguments):
    code = f"""
from nakami.cli import main
try:
    main({arguments!r})
except SystemExit as stop:
    assert stop.code == 0, stop.code
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert "nakami" in done.stdout


def test_import_leaves_torch_out():
    done = run("import nakami; nakami.__version__; dir(nakami)")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "code",
    ["import nakami.theory", "import nakami; nakami.theory.meanfield.criticality('tanh', 2)"],
)
def test_theory_leaves_torch_out(code):
    done = run(code, ("torch", "altair", "jinja2"))
    assert done.returncode == 0, done.stderr


def test_the_check_can_fail():
    done = run("import numpy")
    assert done.returncode != 0
    assert "['numpy']" in done.stderr


def test_module_runs_as_command():
    done = subprocess.run(
        [sys.executable, "-m", "nakami", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("nakami ")
