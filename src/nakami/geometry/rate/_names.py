"""Names of losses and optimizers; known before torch is imported."""

from __future__ import annotations

from typing import Any

from ...results import PYTHON, unknown

LOSSES = ("cross_entropy", "mse", "bce_with_logits")  # those of nakami.ggn
OWN_LOSS = "own"  # on the command line: what the model returns, ``loss=None`` in Python
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "rmsprop": ("RMSprop", {}),
    "sdprop": ("SDProp", {}),
    "adastand": ("Adastand", {}),
    "nadam": ("NAdam", {}),
    "radam": ("RAdam", {}),
    "adamax": ("Adamax", {}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {}),
    "adafactor": ("Adafactor", {}),
    "asgd": ("ASGD", {}),
}  # the class, and its settings


def check_names(loss: str, optimizer: str) -> None:
    """Refuse names that ``learning_rate`` would refuse, without importing torch.

    Raises:
        UsageError: It names no loss, or no optimizer.
    """
    if loss not in (*LOSSES, OWN_LOSS):
        raise unknown("loss", loss, [*LOSSES, OWN_LOSS], PYTHON + "pass a torch loss module")
    check_optimizer_name(optimizer)


def check_optimizer_name(optimizer: str) -> None:
    """Refuse a name that stands for no optimizer."""
    if optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS, PYTHON + "pass a torch optimizer")
