"""XrayMonitor in the trainers of Lightning and transformers; skipped where these miss."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import nakami
import nakami.dynamics.monitor
from hosts_of_callbacks import Classified, callbacks, the_extra_is_named
from nakami.dynamics import XrayMonitor
from nakami.results import UsageError

NEEDED = {"lightning": "LightningXrayMonitor", "transformers": "TrainerXrayMonitor"}
SETTINGS = {"every": 3, "max_share": float("inf"), "stages": ["1", "2"]}
quiet = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


def gathered():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(24, 5, generator=generator), torch.randint(0, 3, (24,), generator=generator)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def by_hand(steps):
    """The looks of a plain loop over the data in order."""
    net, (x, y) = network(), gathered()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    monitor = XrayMonitor(net, x[:2], **SETTINGS)
    monitor.look()
    for step in range(steps):
        here = slice(6 * step % 24, 6 * step % 24 + 6)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[here]), y[here]).backward()
        optimizer.step()
        monitor.step()
    return net.state_dict(), monitor.finish()


def alike(found, wanted):
    assert found.steps.tolist() == wanted.steps.tolist()
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-4)


@pytest.mark.parametrize("library", [*NEEDED])
def test_without_the_host_library_the_extra_is_named(monkeypatch, library):
    the_extra_is_named(monkeypatch, nakami.dynamics.monitor, library, NEEDED[library])
    assert NEEDED[library] not in nakami.dynamics.__all__


def test_a_callback_that_would_never_look_is_refused():
    for callback in callbacks("dynamics", "XrayMonitor"):
        with pytest.raises(UsageError, match="max_share must be a share above 0 and at most 1, or"):
            callback(torch.zeros(2, 5), max_share=0)


def test_a_callback_shows_its_settings_in_a_line():
    for callback in callbacks("dynamics", "XrayMonitor"):
        shown = repr(callback(torch.zeros(2, 5), every=3, stages=["1"], about={"note": "a" * 99}))
        assert shown.startswith(f"{callback.__name__}(every=3, stages=['1'], about={{'note': 'aaa")
        assert len(shown) < 150


def fit(tmp_path, callback, epochs, resume=None, logger=False):
    import lightning.pytorch as lit

    class Module(lit.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.5)

    off = dict.fromkeys(("enable_progress_bar", "enable_checkpointing"), False)
    trainer = lit.Trainer(
        max_epochs=epochs, accelerator="cpu", enable_model_summary=False, callbacks=[callback],
        default_root_dir=tmp_path, logger=logger, **off,
    )  # fmt: skip
    data = torch.utils.data.TensorDataset(*gathered())
    module = Module()
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=6), ckpt_path=resume)
    return trainer, module


def lightning_monitor(**more):
    if importlib.util.find_spec("lightning") is None:
        pytest.skip("lightning is not installed (extra train)")
    settings = {**SETTINGS, "stages": ["net.1", "net.2"], **more}
    return nakami.dynamics.LightningXrayMonitor(gathered()[0][:2], **settings)


def named(history, stage):
    """What a logger gets of each look at a stage."""
    rows = history.summary(stage)
    pairs = {"s1": "largest", "effective_rank": "effective_rank", "above_1": "count"}
    return {name: [getattr(row, field).mean for row in rows] for name, field in pairs.items()}


@quiet
def test_lightning_sees_what_a_loop_sees_and_logs_it(tmp_path):
    callback = lightning_monitor(out=tmp_path / "film")
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(tmp_path, name="", version="log")
    _, module = fit(tmp_path, callback, 2, logger=logger)
    weights, wanted = by_hand(8)
    for name, value in module.net.state_dict().items():
        assert torch.allclose(value, weights[name])
    alike(callback.monitor.history, wanted)
    assert wanted.steps.tolist() == [0, 3, 6, 8]
    alike(nakami.load(tmp_path / "film"), wanted)
    rows = list(csv.DictReader((tmp_path / "log" / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows] == [0, 3, 6, 8]
    for stage in ("1", "2"):
        for name, numbers in named(wanted, stage).items():
            seen = [float(row[f"xray/net.{stage}/{name}"]) for row in rows]
            assert seen == pytest.approx(numbers, rel=1e-4)
    assert 0 < float(rows[-1]["xray/share_of_time"]) < 1e3


@quiet
def test_tensorboard_draws_a_curve_for_each_number_of_each_stage(tmp_path):
    callback = lightning_monitor()
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("tensorboard is not installed (extra test-all)")
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path, name="", version="log")
    fit(tmp_path, callback, 2, logger=logger)
    logger.finalize("success")
    written = EventAccumulator(str(tmp_path / "log"))
    written.Reload()
    _, wanted = by_hand(8)
    for name, numbers in named(wanted, "2").items():
        seen = written.Scalars(f"xray/net.2/{name}")
        assert [one.step for one in seen] == [0, 3, 6, 8]
        assert [one.value for one in seen] == pytest.approx(numbers, rel=1e-4)


@quiet
def test_lightning_resumes_in_its_folder(tmp_path):
    whole, first, again = (lightning_monitor(out=tmp_path / n) for n in ("a", "b", "b"))
    fit(tmp_path, whole, 2)
    trainer, _ = fit(tmp_path, first, 1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    assert nakami.load(tmp_path / "b").steps.tolist() == [0, 3, 4]
    fit(tmp_path, again, 2, resume=tmp_path / "one.ckpt")
    found = nakami.load(tmp_path / "b")
    assert found.steps.tolist() == [0, 3, 4, 6, 8]
    np.testing.assert_allclose(
        found.xray(8).values("net.2"), whole.monitor.history.xray(8).values("net.2"), rtol=1e-4
    )
    assert found.spent > first.monitor.history.spent


def trainer_for(tmp_path, steps):
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed (extra hf)")
    import transformers

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *args):
            return None

    rows = [{"x": a, "labels": b} for a, b in zip(*gathered(), strict=True)]
    args = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=steps, per_device_train_batch_size=6, use_cpu=True,
        report_to="none", max_grad_norm=0.0, save_steps=4, disable_tqdm=True, weight_decay=0.0,
        logging_steps=100, lr_scheduler_type="constant", optim="sgd", learning_rate=0.5,
    )  # fmt: skip
    return InOrder(model=Classified(network()), args=args, train_dataset=rows)


@quiet
def test_transformers_sees_what_a_loop_sees_and_resumes(tmp_path):
    trainer = trainer_for(tmp_path, 8)
    settings = {**SETTINGS, "stages": ["net.1", "net.2"]}
    x = {"x": gathered()[0][:2]}
    callback = nakami.dynamics.TrainerXrayMonitor(x, **settings)
    trainer.add_callback(callback)
    trainer.train()
    _, wanted = by_hand(8)
    alike(callback.monitor.history, wanted)
    rows = [row for row in trainer.state.log_history if "xray/net.2/s1" in row]
    assert [row["step"] for row in rows] == [0, 3, 6, 8]
    for name, numbers in named(wanted, "2").items():
        assert [row[f"xray/net.2/{name}"] for row in rows] == pytest.approx(numbers, rel=1e-4)
    heard, again = [], trainer_for(tmp_path, 8)
    resumed = nakami.dynamics.TrainerXrayMonitor(x, log=heard.append, **settings)
    again.add_callback(resumed)
    again.train(resume_from_checkpoint=str(Path(tmp_path) / "checkpoint-4"))
    alike(resumed.monitor.history, wanted)
    assert len(heard) == 2
