"""Runs that earlier versions wrote are read, or refused with a sentence."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from nakami.results import UsageError, compare, load

OLD = Path(__file__).parent / "old_runs" / "xray"  # by version 0.1.0 of the first record layout


def test_an_old_x_ray_is_read():
    run = load(OLD)
    assert (run.subject, run.names, run.n_inputs) == ("old", ("1", "2"), 2)
    assert [s.input for s in run.at("2")] == [0]  # the second input is missing: unfinished
    np.testing.assert_allclose(run.at("1")[0].values, [0.66196864, 0.40603191], rtol=1e-7)
    assert run.at("2", None)[0].source == "1"
    assert run.converged
    assert compare(run, OLD).change("2").steady


def test_a_run_without_layout_is_refused(tmp_path):
    shutil.copytree(OLD, tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(UsageError, match="which an older nakami wrote; start the command that"):
        load(tmp_path / "run")
