"""Ctrl-C at any moment, and however often, is one sentence and exit code 130."""

import subprocess
import sys

import pytest

PRESS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have switched it off
press = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"


class Finder:  # Ctrl-C while this module is looked for
    def find_spec(self, name, *_):
        if name == {module!r}:
            {press}


class Terminal:  # and again as soon as the sentence is there
    def write(self, text):
        sys.__stderr__.write(text)
        sys.__stderr__.flush()
        for _ in range({again}):
            exec(press)


sys.meta_path.insert(0, Finder())
sys.stderr = Terminal()
from nakami.cli import main

main(["theory", "meanfield", "--no-page", "--widths", "5,6,2"])
"""


@pytest.mark.parametrize(
    ("press", "again"), [("os.kill(os.getpid(), signal.SIGINT)", 0), ("exec(press)", 2)]
)
@pytest.mark.parametrize("module", ["typer", "nakami.cli._groups", "nakami.theory.meanfield"])
def test_ctrl_c_is_one_sentence(tmp_path, module, press, again):
    code = PRESS.format(module=module, press=press, again=again)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    said = "nakami: interrupted; start the same command again.\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)


LOST = """
import _thread, os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from nakami.cli import _exit_codes


class Deaf:  # what a destructor raises is not seen
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)


def command(pressed):
    Deaf()
    time.sleep(20)


with _exit_codes._interrupts() as pressed:
    try:
        command(pressed)
    except KeyboardInterrupt:
        print("heard", len(pressed))
"""


def test_ctrl_c_in_a_destructor_is_not_lost():
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("heard 1\n", "")


def test_a_command_leaves_the_signals_as_they_were(nakami):
    import signal

    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    assert nakami("--version").code == 0
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
