"""A setting as code: for plain torch, Lightning and transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FACTORS = {
    "constant": "1.0",
    "cosine": "(1 + math.cos(math.pi * u)) / 2",
    "linear": "1 - u",
    "wsd": "min(1.0, (1 - u) / 0.2)",
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


def _import(setting: Any) -> str:
    return "" if setting.home == "torch.optim" else f"import {setting.home}\n"


def _torch(optimizer: str, rate: float, settings: str, setting: Any) -> str:
    given = f", {settings}" if settings else ""
    return f"""import math
import torch
{_import(setting)}
{_factor(setting)}
optimizer = {setting.home}.{optimizer}(model.parameters(), lr={rate:g}{given})
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)  # scheduler.step() after each step
"""


def _lightning(optimizer: str, rate: float, settings: str, setting: Any) -> str:
    given = f", {settings}" if settings else ""
    return f"""import math
import torch
{_import(setting)}
{_factor(setting)}
def configure_optimizers(self):  # of the LightningModule, with Trainer(max_steps={setting.steps})
    optimizer = {setting.home}.{optimizer}(self.parameters(), lr={rate:g}{given})
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    each_step = {{"scheduler": scheduler, "interval": "step"}}
    return {{"optimizer": optimizer, "lr_scheduler": each_step}}
"""


def _transformers(optimizer: str, rate: float, settings: str, setting: Any) -> str:
    decay, more = setting.arguments.get("weight_decay", 0.0), ""
    if setting.schedule == "wsd":
        fifth = round(0.2 * (setting.steps - setting.warmup))
        parts = {"num_decay_steps": fifth, "decay_type": "linear"}
        more = f"\n    lr_scheduler_kwargs={parts},"
    chosen = f"# optimizer: Trainer(optimizer_cls_and_kwargs=({setting.home}.{optimizer}, ...))"
    if optimizer in NAMES:
        chosen = f'optim="{NAMES[optimizer]}",'
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


SNIPPETS: dict[str, Callable[[str, float, str, Any], str]] = {
    "torch": _torch,
    "lightning": _lightning,
    "transformers": _transformers,
}
