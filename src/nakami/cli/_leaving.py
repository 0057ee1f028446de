"""What ``nakami export`` writes: the network of a training, of an x-ray, or of the caller's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nakami.results import Record, UsageError, read_record, wrong

if TYPE_CHECKING:
    from torch import nn

    from nakami.export import Source

    from ._groups import DataOptions, ModelOptions

ALL = 1_000_000  # examples of an own network at most


def source(
    folder: Path | None,
    chosen: str | None,
    network: ModelOptions,
    inputs: DataOptions,
    xray: Path | None,
) -> tuple[Source, Path]:
    """What is exported, and the folder beside which it goes.

    Args:
        folder: Of a training or an x-ray.
        chosen: Which network of a training.
        network: The caller's, where no folder is given.
        inputs: Of the caller's network, or of an x-ray of one.
        xray: For the card; that of an x-ray's folder is known.
    """
    _check_together(folder, chosen, network, inputs)
    if folder is None:
        assert network.model is not None
        from . import _runs
        from ._groups import OUT

        found = _own(network.model, network, inputs, xray)
        return found, Path(OUT) / _runs.short(network.model)
    record = read_record(folder)
    if record.kind == "xray":
        for option, value in (("--network", chosen), ("--xray", xray)):
            if value is not None:
                raise wrong(option, "come with the folder of a training", folder, "leave it out")
        return _read(record, network, inputs), folder
    return _trained(folder, chosen, xray), folder


def _check_together(
    folder: Path | None, chosen: str | None, network: ModelOptions, inputs: DataOptions
) -> None:
    if (folder is None) == (network.model is None):
        got = "neither" if folder is None else "both"
        raise UsageError(
            f"export needs RUN or --model, got {got}; name the folder of a training or of an "
            "x-ray, or a network of yours with --model."
        )
    if chosen is not None and folder is None:
        raise wrong("--network", "come with the folder of a training", "--model", "leave it out")
    if network.weights is not None and network.model is None:
        raise wrong("--weights", "come with --model", "the folder of a run", "leave it out")
    if network.select is not None:
        raise wrong("--select", "be left out", network.select, "all outputs are in the file")
    if inputs.data is not None and folder is not None and read_record(folder).kind != "xray":
        raise wrong("--data", "come with --model", "a training, which has its own", "leave it out")


def _trained(folder: Path, chosen: str | None, xray: Path | None) -> Source:
    from nakami import export

    from . import _subjects

    _subjects.made_known(folder)
    return export.from_run(folder, chosen, xray)


def _own(name: str, network: ModelOptions, inputs: DataOptions, xray: Path | None) -> Source:
    from nakami.export import Source, read_xray

    from . import _model, _runs

    model = _model.build(name, network.weights, network.seed)
    examples = _model.examples_for(name, inputs, ALL)
    _model.try_once(model, examples)
    where = _runs.name_of_weights(network.weights) if network.weights else "run"
    return Source(
        f"{_runs.short(name)}/{where}",
        model,
        examples,
        _model.training(name, network.weights),
        preparation=_model.preparation_of(inputs),
        xray=None if xray is None else read_xray(xray),
    )


def _read(record: Record, network: ModelOptions, inputs: DataOptions) -> Source:
    """The network of an x-ray, with the weights that it was taken of."""
    kept, folder = record.settings, record.folder
    if "factory" not in kept:
        return _of_subject(kept, folder)
    weights, file = kept.get("weights_file"), kept.get("file")
    again = replace(
        network, weights=None if weights is None else Path(weights), seed=int(kept["seed"])
    )
    data = inputs if inputs.data or not file else replace(inputs, data=Path(file))
    found = _own(kept["factory"], again, data, folder)
    if not _same(found.model, kept):
        way_out = "name the network with --model, --weights and --data"
        raise wrong("RUN", "be of the weights that are there now", folder, way_out)
    for field, now in (("input_unit", found.examples.unit), ("picture", found.examples.picture)):
        if kept.get(field) != now:
            way_out = "repeat --data and the options of the x-ray that say how it is read"
            raise wrong("--data", f"give the {field} of the x-ray, {kept.get(field)}", now, way_out)
    return found


def _of_subject(kept: dict[str, Any], folder: Path) -> Source:
    """A shipped subject: its training lies in a folder beside."""
    chosen = str(kept["subject"]).rpartition("/")[2]
    for place in (folder.parent, folder.parent.parent):
        for weights in sorted(place.glob("weights*")):
            try:
                found = _trained(weights, chosen, folder)
            except UsageError:  # one that did not end, or of another recipe
                continue
            if _same(found.model, kept):
                return found
    way_out = "give the folder of the training"
    raise wrong("RUN", "have the training of its network beside it", folder, way_out)


def _same(model: nn.Module, kept: dict[str, Any]) -> bool:
    """Whether these are the weights that were read."""
    from nakami.data import weights_fingerprint

    return weights_fingerprint(model) == kept["model"]["weights_sha256"]
