"""A command's run: the folder named after what was chosen, its page, and what is printed of it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nakami.results import (
    KINDS,
    Record,
    RecordFolder,
    UsageError,
    disk,
    plain,
    read_record,
    slug,
    wrong,
)

from . import _tables, hf
from ._command import place
from ._groups import OUT

if TYPE_CHECKING:
    from nakami.results import Xray

    from ._groups import JsonOptions

LETTERS = r"\w.,+-"  # of a folder's name
TRAINING = (
    "data",
    "test",
    "key",
    "size",
    "mode",
    "train-seed",
    "set",
)  # what is chosen of a subject's training
DRAWN_BY = ("jinja2", "vl_convert", "PIL")  # what the extra report brings
PROBE = 2**20  # bytes written to learn that a disk is full before the work rather than after it


def chosen(options: Mapping[str, tuple[object, object]]) -> dict[str, object]:
    """The options, each given with its usual value, that are others than the usual."""
    return {name: value for name, (value, usual) in options.items() if value != usual}


def reading(chosen: Mapping[str, object], *what: str) -> str:
    """Name of a folder: what is read, and what was chosen of it.

    The same choices give the same name, ``inputs-4,top-10``, so the same command finds its run
    again.
    """
    texts = {n: f"{v:g}" if isinstance(v, float) else v for n, v in chosen.items()}
    parts = [name if text is True else f"{name}-{text}" for name, text in texts.items()]
    return slug(",".join([*what, *parts]), letters=LETTERS)


def of_model(model: str, what: str, weights: Path | None, chosen: Mapping[str, object]) -> Path:
    """Folder of a reading of one network: ``mlp/lr-sgd``, with the name of the weights' file."""
    suffix = f"-{name_of_weights(weights)}" if weights else ""
    return Path(slug(short(model), letters=LETTERS), reading(chosen, f"{what}{suffix}"))


def name_of_weights(weights: Path) -> str:
    """What runs at these weights are named after: their file, or the folder of their training."""
    whole = weights.resolve()
    if not whole.is_dir():
        return whole.stem
    return "-".join(filter(None, ("network", of_training(whole))))  # beside an x-ray of the folder


def of_training(folder: Path) -> str:
    """What a training is called: its folder ``weights-set-batch-50`` gives ``set-batch-50``."""
    return folder.resolve().name.removeprefix("weights").lstrip("-")


def short(model: str) -> str:
    """Name of a network: that of its factory or folder."""
    return hf.name_of(model) if hf.is_hf(model) else model.rpartition(":")[2] or model


def weights(
    out: Path, name: str, chosen: Mapping[str, object], trained: Callable[[Path], bool]
) -> Path:
    """Folder of a subject's weights: under ``--out``; else, if only there, under the default one.

    Args:
        out: The value of ``--out``.
        name: The subject.
        chosen: As for ``reading``.
        trained: Whether a folder holds the finished training that is asked for.
    """
    own, usual = (weights_below(place, name, chosen) for place in (out, Path(OUT)))
    return usual if own != usual and not trained(own) and trained(usual) else own


def weights_below(out: Path, name: str, chosen: Mapping[str, object]) -> Path:
    """Folder of a subject's weights under ``out``; see ``weights``."""
    folder = "-".join(["weights", *(f"{k}-{chosen[k]}" for k in TRAINING if k in chosen)])
    return out / short(name) / slug(folder, letters=LETTERS)


def references(run: Xray) -> list[str]:
    """What to compare an x-ray's numbers with, in a sentence; none where no page can be drawn."""
    if not run.summary() or any(find_spec(name) is None for name in DRAWN_BY):
        return []
    from nakami.report.pages.xray import to_compare_with

    return [to_compare_with(run)]


def writable(option: str, folder: Path) -> Path:
    """``folder``, after writing one mebibyte there; nothing of it stays."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with disk(folder, option):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(bytes(PROBE))
        finally:
            for path in missing:  # the deepest first
                with contextlib.suppress(OSError):
                    path.rmdir()
    if option == "out":
        place.set(folder)
    return folder


def finish(
    run: RecordFolder,
    result: Mapping[str, Any],
    tables: Iterable[_tables.TextTable],
    lines: Iterable[str] = (),
) -> Record:
    """Write the numbers of a run, with the tables that show them and sentences below."""
    shown = {"tables": [vars(table) for table in tables], "lines": list(lines)}
    return run.finish(plain({**result, **shown}))


def finished(folder: Path | None) -> dict[str, Any]:
    """What ``result.json`` of a finished run holds, and where it lies."""
    record = read_record(folder or "")
    if not record.result:
        raise UsageError(
            f"run must be finished, got an unfinished one in {record.folder}; start the command "
            "that made it again."
        )
    return {"folder": str(record.folder), **record.result}


def tell(record: Record, page: Path | None, output: JsonOptions) -> None:
    """Print a run: its tables and sentences, or JSON."""
    result = finished(record.folder)
    tables = [_tables.TextTable(**table).drawn() for table in result.pop("tables", ())]
    lines = result.pop("lines", ())
    result.pop("settings", None)  # those of run.json say more
    _tables.tell(output, page, {**record.settings, **result}, tables, lines)


def can_draw() -> bool:
    """Whether the extra ``report`` is there; says so on standard error where it is not."""
    missing = [name for name in DRAWN_BY if find_spec(name) is None]
    if missing:
        typer.echo(
            f"note: no page will be written, {', '.join(missing)} is missing; "
            "pip install 'nakami[report]' and the same command adds it.",
            err=True,
        )
    return not missing


def page(what: Any, path: Path | None, about: dict[str, Any] | None = None) -> Path | None:
    """The page of a result at ``path``, if one is asked for and possible."""
    if path is None or not can_draw():
        return None
    from nakami import report

    writable("out", path.parent)
    return report.write(what, path, about)


def page_again(record: Record, path: Path | None) -> Path | None:
    """The page of a finished run at ``path``, where its kind has one."""
    kind = KINDS[record.kind]
    if path is None or not (kind.whole or kind.drawn):
        refuse_page(path, record.kind)
        return None
    finished(record.folder)
    what = kind.drawn(record) if kind.drawn else record.part(kind.whole)
    seconds = round(sum(part.seconds for part in record.pieces()), 2)
    return page(what, path, {**record.settings, "seconds": seconds})


def refuse_page(out: Path | None, kind: str) -> None:
    """Refuse to draw a page from a run whose page is written when it is made."""
    if out is not None:
        way_out = "open report.html in the run's folder"
        raise wrong("--out", "come with an x-ray", f"a run of kind {kind}", way_out)


def xray_page(runs: tuple[Xray, ...], path: Path) -> Path:
    """One run, or two as a comparison, as one self-contained page."""
    from nakami import report, results

    return report.write(results.compare(*runs) if len(runs) == 2 else runs[0], path)
