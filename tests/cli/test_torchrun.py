"""Started by torchrun, a command is done once, by the first process."""

import pytest


@pytest.fixture
def rank(monkeypatch):
    """Set what torchrun sets in each process; a launcher of another kind sets no run id."""

    def given(number, size=2, run="none"):
        for name, value in (("RANK", number), ("WORLD_SIZE", size), ("TORCHELASTIC_RUN_ID", run)):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, str(value))

    return given


def test_all_but_the_first_process_end_with_a_note_and_write_nothing(nakami, here, rank):
    rank(1)
    seen = nakami("train", "lenet", "--data", "nosuch")  # refused by the first
    assert (seen.code, seen.out) == (0, "")
    assert "note: process 1 of torchrun's 2 ends here: the command works in process 0" in seen.err
    assert not (here / "nakami-out").exists()


def test_splitting_weights_needs_several_processes_and_a_network_of_ones_own(nakami, here):
    (here / "x.csv").write_text("a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    (here / "nets.py").write_text("from torch import nn\nmake = lambda: nn.Linear(1, 2)\n")
    assert nakami("data", "inspect", "x.csv").code == 0
    for name, said in {
        "lenet": "--shard must be given with a network of yours, got lenet-digits; leave it out",
        "nets.py:make": "--shard must split the weights over several processes, got one; start",
    }.items():
        seen = nakami("train", name, "--data", "x.toml", "--shard")
        assert seen.code == 2
        assert said in seen.err
        assert not (here / "nakami-out").exists()


@pytest.mark.parametrize("given", [(0,), (1, 2, None), (None, None)])
def test_the_first_one_and_one_without_torchrun_work(nakami, here, rank, given):
    rank(*given)
    seen = nakami("train", "lenet", "--print-settings")
    assert seen.code == 0
    assert "epochs = 20" in seen.out
    assert nakami("train", "lenet", "--data", "nosuch").code == 2
