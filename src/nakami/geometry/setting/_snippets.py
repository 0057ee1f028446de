"""A setting as code: for plain torch, Lightning and transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..rate._schedule import DECAY

FACTORS = {
    "constant": "1.0",
    "cosine": "(1 + math.cos(math.pi * u)) / 2",
    "linear": "1 - u",
    "wsd": f"min(1.0, (1 - u) / {DECAY})",
}
OF_TRAINER = {
    "constant": "constant_with_warmup",
    "cosine": "cosine",
    "linear": "linear",
    "wsd": "warmup_stable_decay",
}
NAMES = {"AdamW": "adamw_torch", "SGD": "sgd", "Adagrad": "adagrad", "RMSprop": "rmsprop"}


def _factor(setting: Any) -> str:
    return f"""def factor(step):
    if step < {setting.warmup}:
        return (step + 1) / {setting.warmup + 1}
    u = min(1.0, (step - {setting.warmup}) / {setting.steps - setting.warmup})
    return {FACTORS[setting.schedule]}
"""


def _imports(setting: Any) -> str:
    named = ["math"] if "math." in FACTORS[setting.schedule] else []
    named += ["torch"] if setting.home == "torch.optim" else ["torch", setting.home]
    return "".join(f"import {name}\n" for name in named)


def _made(rate: float, setting: Any, of: str) -> str:
    given = "".join(f", {name}={value!r}" for name, value in setting.arguments.items())
    return f"{setting.home}.{setting.optimizer}({of}.parameters(), lr={rate:g}{given})"


def _torch(rate: float, setting: Any) -> str:
    return f"""{_imports(setting)}
{_factor(setting)}
optimizer = {_made(rate, setting, "model")}
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)  # scheduler.step() after each step
"""


def _lightning(rate: float, setting: Any) -> str:
    return f"""{_imports(setting)}
{_factor(setting)}
def configure_optimizers(self):  # of the LightningModule, with Trainer(max_steps={setting.steps})
    optimizer = {_made(rate, setting, "self")}
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    each_step = {{"scheduler": scheduler, "interval": "step"}}
    return {{"optimizer": optimizer, "lr_scheduler": each_step}}
"""


def _transformers(rate: float, setting: Any) -> str:
    decay, more = setting.arguments.get("weight_decay", 0.0), ""
    if setting.schedule == "wsd":
        fifth = round(DECAY * (setting.steps - setting.warmup))
        parts = {"num_decay_steps": fifth, "decay_type": "linear"}
        more = f"\n    lr_scheduler_kwargs={parts},"
    chosen = f'optim="{NAMES.get(setting.optimizer)}",'
    if setting.optimizer not in NAMES or set(setting.arguments) - {"weight_decay"}:
        given = {"lr": rate, **setting.arguments}
        made = f"{setting.home}.{setting.optimizer}, {given}"
        chosen = f"# optimizer: Trainer(..., optimizer_cls_and_kwargs=({made}))"
    return f'''from transformers import TrainingArguments

arguments = TrainingArguments(
    output_dir="out",
    {chosen}
    learning_rate={rate:g},
    weight_decay={decay!r},
    lr_scheduler_type="{OF_TRAINER[setting.schedule]}",
    warmup_steps={setting.warmup},
    max_steps={setting.steps},
    per_device_train_batch_size={setting.batch},
    max_grad_norm=0.0,{more}
)
'''


SNIPPETS: dict[str, Callable[[float, Any], str]] = {
    "torch": _torch,
    "lightning": _lightning,
    "transformers": _transformers,
}
