"""A setting as code: for plain torch, Lightning and transformers."""

from __future__ import annotations

import textwrap
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
SCHEDULER = "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)"
HANDED = "model, arguments, train_dataset=train_dataset"
NAMES = {"AdamW": "adamw_torch", "SGD": "sgd", "Adagrad": "adagrad", "RMSprop": "rmsprop"}


def _factor(setting: Any) -> str:
    return f"""def factor(step):
    if step < {setting.warmup}:
        return (step + 1) / {setting.warmup + 1}
    u = min(1.0, (step - {setting.warmup}) / {setting.steps - setting.warmup})
    return {FACTORS[setting.schedule]}
"""


def _imports(setting: Any, course: bool = True) -> str:
    named = ["math"] if course and "math." in FACTORS[setting.schedule] else []
    named += ["torch"] * (course or setting.home == "torch.optim")
    named += [setting.home] if setting.home not in ("torch.optim", "") else []
    return "".join(f"import {name}\n" for name in named)


def _class(setting: Any) -> str:
    return f"{setting.home}.{setting.optimizer}" if setting.home else str(setting.optimizer)


def _optimizer(rate: float, setting: Any, of: str) -> str:
    """Lines that make it, with its groups."""
    given = "".join(f", {name}={value!r}" for name, value in setting.arguments.items())
    if not setting.groups:
        return f"optimizer = {_class(setting)}({of}.parameters(), lr={rate:g}{given})\n"
    head = _head(setting, of)
    parts = "".join(_group(rate, each, setting.arguments) for each in setting.groups)
    made = f"optimizer = {_class(setting)}(groups, lr={rate:g}{given})\n"
    return f"{head}named = dict({of}.named_parameters())\ngroups = [\n{parts}]\n{made}"


def _head(setting: Any, of: str) -> str:
    rates = ", ".join(f"{each.rate:.3g}" for each in setting.groups)
    told = f"The groups of your optimizer, at {rates} times the rate"
    if len(setting.groups) == 1:
        told = "The parameters that your optimizer holds, which are not all"
    words = f"{told}. Names are those of the model that was tuned, as {of}.named_parameters() has."
    return "".join(f"# {line}\n" for line in textwrap.wrap(words, 96))


def _group(rate: float, group: Any, shared: dict[str, object]) -> str:
    own = {"lr": float(f"{rate * group.rate:.3g}")}
    own |= {key: value for key, value in group.arguments.items() if key not in shared}
    names = "".join(f'            "{name}",\n' for name in group.names)
    more = "".join(f'        "{key}": {value!r},\n' for key, value in own.items())
    listed = f'        "params": [named[name] for name in (\n{names}        )],\n'
    return f"    {{\n{listed}{more}    }},\n"


def _torch(rate: float, setting: Any) -> str:
    return f"""{_imports(setting)}
{_factor(setting)}
{_optimizer(rate, setting, "model")}{SCHEDULER}  # scheduler.step() after each step
"""


def _lightning(rate: float, setting: Any) -> str:
    body = f"{_optimizer(rate, setting, 'self')}{SCHEDULER}\n"
    return f"""{_imports(setting)}
{_factor(setting)}
def configure_optimizers(self):  # of the LightningModule, with Trainer(max_steps={setting.steps})
{textwrap.indent(body, "    ")}    each_step = {{"scheduler": scheduler, "interval": "step"}}
    return {{"optimizer": optimizer, "lr_scheduler": each_step}}
"""


def _transformers(rate: float, setting: Any) -> str:
    decay, more = setting.arguments.get("weight_decay", 0.0), ""
    if setting.schedule == "wsd":
        fifth = round(DECAY * (setting.steps - setting.warmup))
        parts = {"num_decay_steps": fifth, "decay_type": "linear"}
        more = f"\n    lr_scheduler_kwargs={parts},"
    named, ends, imports = _of_trainer(rate, setting)
    spared = "  # the Trainer spares biases and norms" if decay else ""
    decays = "" if setting.groups else f"\n    weight_decay={decay!r},{spared}"
    return f'''{imports}from transformers import {"Trainer, " * bool(ends)}TrainingArguments

arguments = TrainingArguments(
    output_dir="out",{named}
    learning_rate={rate:g},{decays}
    lr_scheduler_type="{OF_TRAINER[setting.schedule]}",
    warmup_steps={setting.warmup},
    max_steps={setting.steps},
    per_device_train_batch_size={setting.batch},
    max_grad_norm=0.0,{more}
)
{ends}'''


def _of_trainer(rate: float, setting: Any) -> tuple[str, str, str]:
    """The argument that names the optimizer, or lines that give it to a Trainer; imports."""
    known = setting.home == "torch.optim" and setting.optimizer in NAMES
    if known and not setting.groups and not set(setting.arguments) - {"weight_decay"}:
        return f'\n    optim="{NAMES[setting.optimizer]}",', "", ""
    imports = _imports(setting, course=False)
    imports += "\n" * bool(imports)
    if setting.groups:
        made, passed = _optimizer(rate, setting, "model"), "optimizers=(optimizer, None)"
    else:
        given = {"lr": rate, **setting.arguments}
        made = f"optimizer_cls_and_kwargs = ({_class(setting)}, {given})\n"
        passed = "optimizer_cls_and_kwargs=optimizer_cls_and_kwargs"
    return "", f"{made}trainer = Trainer(\n    {HANDED},\n    {passed},\n)\n", imports


SNIPPETS: dict[str, Callable[[float, Any], str]] = {
    "torch": _torch,
    "lightning": _lightning,
    "transformers": _transformers,
}
