"""RateControl in the trainers of Lightning and transformers; skipped where they are missing."""

import importlib.util
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami.geometry
from hosts_of_callbacks import Classified, callbacks
from nakami.geometry import Measures, RateControl

NEEDED = {"lightning": "LightningRateControl", "transformers": "TrainerRateControl"}
SETTINGS = {"steps": 100, "warmup": 2, "measures": Measures(budget=0.9, every=4, settle=1)}
# Of Lightning 2.6; the second where there are more than two cores, the third where there is a GPU.
lightnings_own_warnings = pytest.mark.filterwarnings(
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated, use `isinstance:FutureWarning",
    "ignore:The 'train_dataloader' does not have many workers:UserWarning",
    "ignore:GPU available but not used:UserWarning",
)


def gathered():
    gen = torch.Generator().manual_seed(0)
    return torch.randn(24, 5, generator=gen), torch.randint(0, 3, (24,), generator=gen)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def by_hand(rate, batch, accumulate=1, schedule=None, steps=6):
    """Weights and log of a plain loop over the data in order."""
    model, (x, y), at = network(), gathered(), 0
    stepping = torch.optim.SGD(model.parameters(), lr=0.1)
    control = RateControl(
        model, stepping, (x, y), "cross_entropy", rate, schedule=schedule, **SETTINGS
    )
    for _ in range(steps):
        stepping.zero_grad()
        losses = []
        for _ in range(accumulate):
            here = slice(at % 24, at % 24 + batch)
            loss = nn.functional.cross_entropy(model(x[here]), y[here])
            (loss / accumulate).backward()
            losses.append(float(loss.detach()))
            at += batch
        stepping.step()
        control.step(sum(losses) / accumulate)
    return model.state_dict(), control.log


def test_a_control_and_its_callbacks_show_themselves_in_a_line():
    model, batch = network(), gathered()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    control = RateControl(model, optimizer, batch, "cross_entropy", 0.05, **SETTINGS)
    assert repr(control) == "RateControl(target 0.05, 0 steps, 0 measures)"
    for callback in callbacks("geometry", "RateControl"):
        shown = repr(callback(batch, "cross_entropy", 0.05, warmup=2))
        assert shown == f"{callback.__name__}(loss='cross_entropy', rate=0.05, warmup=2)"


def close(seen, wanted):
    assert len(seen) == len(wanted) > 1
    for one, other in zip(seen, wanted, strict=True):
        assert one.as_dict() == pytest.approx(other.as_dict(), rel=1e-4)


def test_without_the_host_library_the_extra_is_named():
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({[*NEEDED]}))\n"
        "import nakami.geometry\n"
        "assert not {'lightning.trainer', 'transformers.trainer'} & set(sys.modules)\n"
        f"for name in {[*NEEDED.values()]}:\n"
        "    try: getattr(nakami.geometry, name)\n"
        "    except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    for line, (library, name), extra in zip(lines, NEEDED.items(), ("train", "hf"), strict=True):
        assert f"{name} needs {library}, got" in line
        assert line.endswith(f"pip install 'nakami[{extra}]' adds it.")
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        nakami.geometry.Nothing  # noqa: B018


def lightning():
    if importlib.util.find_spec("lightning") is None:
        pytest.skip("lightning is not installed (extra train)")
    import lightning.pytorch as lit

    class Module(lit.LightningModule):
        def __init__(self, scheduler=None):
            super().__init__()
            self.net, self.scheduler = network(), scheduler

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, index):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            stepping = torch.optim.SGD(self.parameters(), lr=0.1)
            if not self.scheduler:
                return stepping
            own = torch.optim.lr_scheduler.ExponentialLR(stepping, 0.9)
            return [stepping], [{"scheduler": own, "interval": self.scheduler}]

    return lit, Module


def fit(tmp_path, callback, epochs, accumulate=1, resume=None, scheduler=None, more=()):
    lit, Module = lightning()
    module = Module(scheduler)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*gathered()), batch_size=6)
    trainer = lit.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[callback, *more], default_root_dir=tmp_path,
        accumulate_grad_batches=accumulate, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, loader, ckpt_path=resume)
    return trainer, module


def hosted(**settings):
    settings = {**SETTINGS, **settings}
    return nakami.geometry.LightningRateControl(gathered(), "cross_entropy", 2.0, **settings)


@lightnings_own_warnings
@pytest.mark.parametrize("accumulate", [1, 2])
def test_lightning_does_what_a_loop_does(tmp_path, accumulate):
    lightning()
    callback = hosted()
    _, module = fit(tmp_path, callback, 2 * accumulate, accumulate)
    weights, log = by_hand(2.0, 6, accumulate, steps=8)
    assert_close({k.removeprefix("net."): v for k, v in module.state_dict().items()}, weights)
    close(callback.control.log, log)


@lightnings_own_warnings
def test_lightning_resumes(tmp_path):
    lightning()
    trainer, _ = fit(tmp_path, hosted(), 2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    again = hosted()
    _, module = fit(tmp_path, again, 4, resume=tmp_path / "two.ckpt")
    whole = hosted()
    _, wanted = fit(tmp_path, whole, 4)
    assert_close(module.state_dict(), wanted.state_dict(), rtol=0, atol=0)
    assert again.control.log == whole.control.log
    assert len(whole.control.log) > 2


@lightnings_own_warnings
def test_a_second_fit_in_lightning_starts_anew(tmp_path):
    lightning()
    trainer, _ = fit(tmp_path, hosted(), 2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    again, whole = hosted(), hosted()
    fit(tmp_path, again, 3, resume=tmp_path / "two.ckpt")
    fit(tmp_path, again, 2)
    fit(tmp_path, whole, 2)
    assert again.control.log == whole.control.log


@lightnings_own_warnings
def test_two_controls_of_one_training_are_refused(tmp_path):
    lightning()

    class Again(nakami.geometry.LightningRateControl):
        """Another callback of this kind, for Lightning takes two of one class for the same."""

    second = Again(gathered(), "cross_entropy", 1.0, **SETTINGS)
    with pytest.raises(ValueError, match=r"optimizer must have one RateControl, got a second one"):
        fit(tmp_path, hosted(), 1, more=[second])


@lightnings_own_warnings
@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_a_scheduler_in_lightning_multiplies_and_is_logged(tmp_path, interval):
    lit, _ = lightning()

    class Rates(lit.Callback):
        def __init__(self):
            self.seen = []

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            self.seen.append(optimizer.param_groups[0]["lr"])

    callback, rates = hosted(), Rates()
    trainer, module = fit(tmp_path, callback, 2, scheduler=interval, more=[rates])
    alone = [0.9 ** (step if interval == "step" else step // 4) for step in range(9)]
    weights, log = by_hand(2.0, 6, schedule=lambda step: alone[step], steps=8)
    assert_close({k.removeprefix("net."): v for k, v in module.state_dict().items()}, weights)
    close(callback.control.log, log)
    warmed = [2.0 * min(1, (step + 1) / 3) for step in range(8)]
    assert rates.seen == pytest.approx([a * b for a, b in zip(warmed, alone[:8], strict=True)])
    scheduler = trainer.lr_scheduler_configs[0].scheduler
    assert type(scheduler) is torch.optim.lr_scheduler.ExponentialLR
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    again, whole = hosted(), hosted()
    fit(tmp_path, again, 4, resume=tmp_path / "two.ckpt", scheduler=interval)
    fit(tmp_path, whole, 4, scheduler=interval)
    assert again.control.log == whole.control.log


def trained(tmp_path, callback, steps, resume=None, **changed):
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed (extra hf)")
    import transformers

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *args):
            return None

    x, y = gathered()
    rows = [{"x": a, "labels": b} for a, b in zip(x, y, strict=True)]
    settings = {
        "output_dir": str(tmp_path), "max_steps": steps, "per_device_train_batch_size": 6,
        "use_cpu": True, "report_to": "none", "max_grad_norm": 0.0, "save_steps": 4,
        "disable_tqdm": True, "weight_decay": 0.0, "logging_steps": 100,
        "lr_scheduler_type": "constant", "optim": "sgd", "learning_rate": 0.1, **changed,
    }  # fmt: skip
    args = transformers.TrainingArguments(**settings)
    model = Classified(network())
    data = {"train_dataset": rows, "eval_dataset": rows}
    trainer = InOrder(model=model, args=args, callbacks=[callback], **data)
    trainer.train(resume_from_checkpoint=resume)
    return trainer, model


def trainer_control(**settings):
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed (extra hf)")
    x, y = gathered()
    settings = {**SETTINGS, **settings}
    return nakami.geometry.TrainerRateControl(({"x": x}, y), "cross_entropy", 2.0, **settings)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_transformers_does_what_a_loop_does(tmp_path, accumulate):
    callback = trainer_control()
    changed = {"gradient_accumulation_steps": accumulate, "lr_scheduler_type": "linear"}
    trainer, model = trained(tmp_path, callback, 8, **changed)
    weights, log = by_hand(2.0, 6, accumulate, lambda step: 1 - step / 8, steps=8)
    assert_close({k.removeprefix("net."): v for k, v in model.state_dict().items()}, weights)
    close(callback.control.log, log)
    rows = [row for row in trainer.state.log_history if "rate_control/limit" in row]
    assert [row["step"] for row in rows] == [record.step for record in log]
    assert not model._forward_hooks


def test_transformers_resumes(tmp_path):
    whole = trainer_control()
    _, wanted = trained(tmp_path, whole, 8)
    again = trainer_control()
    _, model = trained(tmp_path, again, 8, resume=str(tmp_path / "checkpoint-4"))
    assert_close(model.state_dict(), wanted.state_dict(), rtol=0, atol=0)
    assert again.control.log == whole.control.log
    (tmp_path / "checkpoint-4" / "rate_control.pt").unlink()
    with pytest.raises(ValueError, match=r"the checkpoint must hold rate_control\.pt, got none"):
        trained(tmp_path, trainer_control(), 8, resume=str(tmp_path / "checkpoint-4"))


def test_a_training_that_failed_leaves_no_hook_to_the_next(tmp_path):
    callback = trainer_control()
    trainer, model = trained(tmp_path, callback, 2)
    callback.on_step_end = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        trainer.train()
    del callback.on_step_end
    assert model._forward_hooks
    trainer.train()
    assert not model._forward_hooks


@pytest.mark.parametrize("kind", ["cosine_with_restarts", "polynomial", "reduce_lr_on_plateau"])
def test_any_schedule_of_transformers_multiplies_and_its_logs_have_the_rate(tmp_path, kind):
    callback, used = trainer_control(), []
    evaluated = {"eval_strategy": "steps", "eval_steps": 3} if "plateau" in kind else {}
    settings = {"learning_rate": 0.1, "logging_steps": 1, "warmup_steps": 2, **evaluated}
    if "plateau" in kind:  # no loss is good enough, so that each look lowers the rate
        settings |= {"lr_scheduler_kwargs": {"patience": 0, "threshold": 100.0}, "warmup_steps": 0}

    class Used(type(callback)):
        def on_pre_optimizer_step(self, args, state, control, **kwargs):
            used.append(kwargs["optimizer"].param_groups[0]["lr"])

    callback.__class__ = Used
    trainer, _ = trained(tmp_path, callback, 8, lr_scheduler_type=kind, **settings)
    logged = [row["learning_rate"] for row in trainer.state.log_history if "learning_rate" in row]
    assert logged == used
    assert len(logged) == 8
    warmed = [2.0 * min(1, (step + 1) / 3) for step in range(8)]
    alone = [rate / ours for rate, ours in zip(used, warmed, strict=True)]
    if "plateau" in kind:
        assert alone == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])
    else:
        plain = [row["learning_rate"] / 0.1 for row in plainly(tmp_path, kind, settings)]
        assert alone == pytest.approx(plain)


def plainly(tmp_path, kind, settings):
    """What the trainer logs without a control."""
    import transformers

    trainer, _ = trained(
        tmp_path, transformers.TrainerCallback(), 8, lr_scheduler_type=kind, **settings
    )
    return [row for row in trainer.state.log_history if "learning_rate" in row]
