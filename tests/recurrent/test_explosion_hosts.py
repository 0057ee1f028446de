"""ExplosionMonitor in the trainers of Lightning and transformers; skipped where these miss."""

import importlib.util

import pytest
import torch
from torch import nn

import nakami.recurrent.explosion
from hosts_of_callbacks import callbacks, the_extra_is_named
from nakami.recurrent import ExplosionMonitor

NEEDED = {"lightning": "LightningExplosionMonitor", "transformers": "TrainerExplosionMonitor"}
quiet = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def gathered():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(24, 6, 3, generator=generator), torch.randn(24, 4, generator=generator)


class Net(nn.Module):
    """Sequences in, the last state out; a loss where labels are given, as transformers has it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(self, x, labels=None):
        last = self.gru(x)[0][:, -1]
        return last if labels is None else {"loss": (last - labels).square().mean(), "out": last}


def by_hand(steps, **settings):
    """The readings of a plain loop over the data in order."""
    net, (x, y) = Net(), gathered()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    monitor = ExplosionMonitor(net, optimizer, **settings)
    for step in range(steps):
        here = slice(6 * step % 24, 6 * step % 24 + 6)
        optimizer.zero_grad()
        net(x[here], y[here])["loss"].backward()
        optimizer.step()
    return monitor


@pytest.mark.parametrize("library", [*NEEDED])
def test_without_the_host_library_the_extra_is_named(monkeypatch, library):
    the_extra_is_named(monkeypatch, nakami.recurrent.explosion, library, NEEDED[library])
    assert NEEDED[library] not in nakami.recurrent.__all__


def test_a_callback_shows_its_settings_in_a_line():
    for callback in callbacks("recurrent", "ExplosionMonitor"):
        shown = repr(callback(limit=0.1, on_warning=print))
        assert shown == f"{callback.__name__}(limit=0.1, on_warning=print)"


def fit(tmp_path, callback, epochs, resume=None, second=False):
    if importlib.util.find_spec("lightning") is None:
        pytest.skip("lightning is not installed (extra train)")
    import lightning.pytorch as lit

    class Module(lit.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.other = Net(), nn.Linear(1, 1)
            self.automatic_optimization = not second

        def training_step(self, batch, index):
            loss = self.net(*batch)["loss"]
            if second:
                one, _ = self.optimizers()
                one.zero_grad()
                self.manual_backward(loss)
                one.step()
            return loss

        def configure_optimizers(self):
            first = torch.optim.SGD(self.net.parameters(), lr=0.1)
            return [first, torch.optim.SGD(self.other.parameters(), lr=0.1)] if second else first

    data = torch.utils.data.TensorDataset(*gathered())
    off = dict.fromkeys(("logger", "enable_progress_bar", "enable_checkpointing"), False)
    trainer = lit.Trainer(
        max_epochs=epochs, accelerator="cpu", enable_model_summary=False, callbacks=[callback],
        default_root_dir=tmp_path, **off,
    )  # fmt: skip
    module = Module()
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=6), ckpt_path=resume)
    return trainer, module


@quiet
@pytest.mark.parametrize("second", [False, True])
def test_lightning_reads_what_a_loop_reads(tmp_path, second):
    if importlib.util.find_spec("lightning") is None:
        pytest.skip("lightning is not installed (extra train)")
    heard = []
    settings = {"limit": 1e-4, "on_warning": heard.append, "growth_limit": 9.0, "every": 3}
    callback = nakami.recurrent.LightningExplosionMonitor(**settings)
    trainer, module = fit(tmp_path, callback, 2, second=second)
    wanted = by_hand(8, **{**settings, "on_warning": lambda reading: None}).history
    seen = callback.monitor.history
    for one, other in zip(seen, wanted, strict=True):
        assert one.name == f"net.{other.name}"
        assert one.update == pytest.approx(other.update, rel=1e-4)
        if other.growth is not None:
            assert one.growth == pytest.approx(other.growth, rel=1e-4)
        assert (one.step, one.warned) == (other.step, other.warned)
    assert [reading.growth is not None for reading in seen] == [step % 3 == 2 for step in range(8)]
    assert [reading.step for reading in heard] == [1]
    if not second:
        assert trainer.callback_metrics["explosion_monitor/update"] == pytest.approx(
            seen[-1].update
        )
    assert not module.net.gru._forward_hooks
    assert not trainer.optimizers[0]._optimizer_step_post_hooks


@quiet
def test_lightning_resumes_from_its_checkpoint(tmp_path):
    if importlib.util.find_spec("lightning") is None:
        pytest.skip("lightning is not installed (extra train)")
    callback, again, whole = (nakami.recurrent.LightningExplosionMonitor() for _ in range(3))
    trainer, _ = fit(tmp_path, callback, 1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    fit(tmp_path, again, 2, resume=tmp_path / "one.ckpt")
    fit(tmp_path, whole, 2)
    assert again.monitor.state_dict() == whole.monitor.state_dict()


def trained(tmp_path, callback, steps, resume=None):
    import transformers

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *args):
            return None

    rows = [{"x": a, "labels": b} for a, b in zip(*gathered(), strict=True)]
    args = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=steps, per_device_train_batch_size=6, use_cpu=True,
        report_to="none", max_grad_norm=0.0, save_steps=4, disable_tqdm=True, weight_decay=0.0,
        logging_steps=100, lr_scheduler_type="constant", optim="sgd", learning_rate=0.1,
    )  # fmt: skip
    trainer = InOrder(model=Net(), args=args, callbacks=[callback], train_dataset=rows)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@quiet
def test_transformers_reads_what_a_loop_reads_and_resumes(tmp_path):
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed (extra hf)")
    wanted = by_hand(8, limit=10.0)
    limit = sorted(reading.update for reading in wanted.history)[-1] * 0.999
    heard = []
    whole, again = (
        nakami.recurrent.TrainerExplosionMonitor(limit=limit, on_warning=heard.append)
        for _ in range(2)
    )
    trainer = trained(tmp_path, whole, 8)
    updates = [reading.update for reading in whole.monitor.history]
    assert updates == pytest.approx([reading.update for reading in wanted.history], rel=1e-4)
    rows = [row for row in trainer.state.log_history if "explosion_monitor/update" in row]
    assert [row["step"] for row in rows] == [reading.step for reading in heard]
    assert rows[0]["explosion_monitor/update"] == max(updates)
    trained(tmp_path, again, 8, resume=str(tmp_path / "checkpoint-4"))
    assert again.monitor.state_dict() == whole.monitor.state_dict()
    assert not trainer.model.gru._forward_hooks
