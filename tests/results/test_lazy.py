"""Public names are imported on first use, each named once."""

import subprocess
import sys

import pytest

import nakami
from nakami import results, theory


@pytest.mark.parametrize("package", [nakami, results])
def test_every_name_is_there(package):
    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'nakami' has no attribute 'svdd'"):
        _ = nakami.svdd
    assert theory.meanfield.predict


def test_nothing_is_imported_before_it_is_used():
    code = "import sys, nakami; nakami.results.UsageError; print('numpy' in sys.modules)"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout == "False\n"
