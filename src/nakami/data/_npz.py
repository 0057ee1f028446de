"""Which arrays of an ``.npz`` are the inputs, what goes with them, and the labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nakami.results import wrong

INPUTS = ("inputs", "x", "images", "data", "arr_0", "input_ids", "features")
LABELS = ("labels", "y", "targets", "label", "target")
TRAINING = ("train", "training")
TEST = ("test", "testing", "val", "valid", "validation")  # the first that is there
SPLITS = (*TRAINING, *TEST)
# what models of tokens take by name beside input_ids
BESIDE = ("attention_mask", "token_type_ids", "position_ids", "decoder_input_ids")
NO_INPUTS = ("classes", "class_names", "label_names", "names", "mean", "std")


@dataclass(frozen=True)
class Picked:
    """Names of arrays.

    Attributes:
        inputs: Of the inputs. labels: of the labels, or None. beside: what goes with the inputs.
        said: Which were taken, in one clause, where the file holds others; else empty.
    """

    inputs: str
    labels: str | None
    beside: tuple[str, ...] = ()
    said: str = ""


def pick(names: list[str], path: Path, key: str | None = None, labels: str | None = None) -> Picked:
    """Choose by name, case aside.

    Inputs: ``key``; else one of ``INPUTS``; else that of the training split (``x_train``,
    ``train_images``), or of the only split; else the only array that is nothing else. Labels:
    ``labels``; else those of the same split (``y_train``); else one of ``LABELS``.

    Raises:
        UsageError: No inputs, or several that could be.
    """
    got = f"arrays {', '.join(names) or 'none'}"
    for option, name in (("key", key), ("labels", labels)):
        if name is not None and name not in names:
            way_out = f"name one of them: {{{option}}}=NAME"
            raise wrong(f"{path}", f"hold {name!r}", got, way_out)
    free = [name for name in names if name != labels]
    x = key or _called(free, INPUTS) or _of_a_split(free) or _alone(free)
    if x is None:
        raise wrong(f"{path}", "hold inputs", got, "name one of them: {key}=NAME")
    others = [name for name in names if name != x]
    y = labels or _partner(x, others) or _called(others, LABELS)
    beside = tuple(n for n in others if n.lower() in BESIDE) if x.lower() == "input_ids" else ()
    taken = [x, *beside, *([y] if y else [])]
    said = f"arrays {' and '.join(taken)} of {len(names)}" if set(names) - set(taken) else ""
    return Picked(x, y, beside, said)


def _called(names: list[str], known: tuple[str, ...]) -> str | None:
    """The array with the first of the known names."""
    found = {name.lower(): name for name in reversed(names)}
    return next((found[name] for name in known if name in found), None)


def parts_of(name: str) -> tuple[str, str] | None:
    """``("x", "train")`` of ``x_train`` and of ``train_x``; None for another name."""
    first, _, last = name.lower().rpartition("_")
    for stem, split in ((first, last), (last, first)):
        if stem and split in SPLITS:
            return stem, split
    return None


def _of_a_split(names: list[str]) -> str | None:
    parts = {name: of for name in names if (of := parts_of(name)) and of[0] in INPUTS}
    train = [name for name, (_, split) in parts.items() if split in TRAINING]
    found = train or list(parts)
    return found[0] if len(found) == 1 else None


def _alone(names: list[str]) -> str | None:
    rest = [n for n in names if n.lower() not in (*LABELS, *NO_INPUTS, *BESIDE)]
    rest = [n for n in rest if not ((of := parts_of(n)) and of[0] in LABELS)]
    return rest[0] if len(rest) == 1 else None


def _partner(x: str, others: list[str]) -> str | None:
    """Labels of the same split as the inputs."""
    split = parts_of(x)
    if split is None:
        return None
    same = {name: of[0] for name in others if (of := parts_of(name)) and of[1] == split[1]}
    return next((name for name, stem in same.items() if stem in LABELS), None)
