"""Names of weights in a file and in a model: which prefix parts them, or why none does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# what torch's wrappers put into a name: DataParallel, compile, FSDP, checkpoint_wrapper
WRAPPING = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
MARKS = (
    (("lora_A", "lora_B"), "they are adapters: write the model after merge_and_unload()"),
    (("weight_g", "weight_v", "parametrizations"), "one of them has weight_norm in another form"),
    (("_flat_param", "flat_param"), "they are flat pieces of FSDP: gather the full state dict"),
    (("qweight", "qzeros", "absmax", "_packed_params"), "they are quantised: write the full ones"),
)


@dataclass(frozen=True)
class Renamed:
    """The model's names for those of a file, and what was done to them in one clause."""

    names: dict[str, str]
    done: str


def renamed(own: Iterable[str], there: Iterable[str]) -> Renamed | None:
    """How all names of a file become all names of a model; None where they do not.

    A prefix that all names share is taken off on one side, and what torch's wrappers put into
    names on both.
    """
    mine, theirs = list(own), list(there)
    for left, right in _pairs(mine, theirs):
        back = {short: name for name, short in left.names.items()}
        if len(back) == len(mine) and sorted(back) == sorted(right.names.values()):
            names = {name: back[short] for name, short in right.names.items()}
            parts = [f"{right.done} taken off"] * bool(right.done)
            parts += [f"{left.done} of the model left out"] * bool(left.done)
            return Renamed(names, " and ".join(parts))
    return None


def _pairs(own: list[str], there: list[str]) -> Iterator[tuple[Renamed, Renamed]]:
    plain, bare = _same(own), _unwrapped(own)
    yield from ((plain, short) for short in _shortened(_same(there)))
    yield from ((long, _same(there)) for long in _shortened(plain))
    yield from ((bare, short) for short in _shortened(_unwrapped(there)))
    yield from ((long, _unwrapped(there)) for long in _shortened(bare))


def _same(names: list[str]) -> Renamed:
    return Renamed({name: name for name in names}, "")


def _unwrapped(names: list[str]) -> Renamed:
    short = {n: ".".join(p for p in n.split(".") if p not in WRAPPING) for n in names}
    dropped = dict.fromkeys(p for n in names for p in n.split(".") if p in WRAPPING)
    return Renamed(short, " and ".join(f"'{p}.'" for p in dropped))


def _shortened(names: Renamed) -> Iterator[Renamed]:
    """The names, then without their first part where all share it, and so on."""
    short, taken = names.names, ""
    while True:
        yield Renamed(short, " and ".join(filter(None, (names.done, taken and f"'{taken}'"))))
        first = {name.partition(".")[0] for name in short.values()}
        if len(first) != 1 or not all("." in name for name in short.values()):
            return
        taken += f"{first.pop()}."
        short = {name: rest.partition(".")[2] for name, rest in short.items()}


def reason(own: Iterable[str], there: Iterable[str]) -> str:
    """Why names do not fit, in one clause, as far as the names show it."""
    mine, theirs = set(own), set(there)
    for prefix in sorted({n[: -len(m)] for m in list(mine)[:1] for n in theirs if n.endswith(m)}):
        under = {n[len(prefix) :] for n in theirs if n.startswith(prefix)}
        if prefix and under >= mine:
            rest = next(iter(sorted(n for n in theirs if n[: len(prefix)] != prefix)), None)
            beside = f"other parts as {rest}" if rest else f"more as {min(under - mine)}"
            return f"the file has the model under {prefix!r} and {beside}"
    for marks, text in MARKS:
        if any(mark in name for name in mine ^ theirs for mark in marks):
            return text
    if not mine & theirs:
        return "they share no name, so the file is of another network"
    if mine < theirs:
        return "the file has parts that the model lacks"
    if theirs < mine:
        return "the model has parts that the file lacks"
    return "they share some names, so parts are called otherwise or their number differs"
