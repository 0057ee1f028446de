"""The file format of published Jacobian lenses: Anthropic's jacobian-lens, and TransformerLens."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..results import Lens, LensEnding, Outcome, UsageError, as_path, write_whole, wrong, wrong_type
from ._jackknife import Running
from ._lens_numbers import made_lens

FORMAT = "jacobian-lens"


def save_jacobian_lens(
    path: str | PathLike[str],
    lenses: Lens | Mapping[str, Lens],
    dtype: torch.dtype = torch.float16,
) -> Path:
    """Write lenses of several layers as one ``.pt`` file that other programs read.

    The layout is that of ``anthropics/jacobian-lens`` and of TransformerLens 4.3: a dict of ``J``
    (matrices by number of the layer), ``n_prompts``, ``source_layers`` and ``d_model``, with a
    ``metadata`` dict beside. Errors have no place in it but as numbers in ``metadata``;
    ``Lens.save`` keeps all.

    Args:
        path: The file; missing folders are made.
        lenses: One, or what ``nakami.lens`` gives for several stages. The layer is the last number
            in a stage's name.
        dtype: Of the matrices; theirs is float16.

    Raises:
        UsageError: A stage without a number, or two with the same one; a matrix that is not
            square; lenses of different widths, ends or numbers of prompts.
    """
    several = {lenses.stage: lenses} if isinstance(lenses, Lens) else lenses
    if not isinstance(several, Mapping) or not several:
        way_out = "pass what nakami.lens returned"
        raise wrong_type("lenses", "be a Lens or a dict of some", repr(lenses), way_out)
    numbered = {_layer(one): one for one in several.values()}
    kinds = {(*one.mean.shape, one.n_prompts, one.to) for one in several.values()}
    first = next(iter(several.values()))
    m, d = first.mean.shape
    if len(kinds) > 1 or m != d or len(numbered) < len(several):
        rule = "be of different layers, square, and alike in width, end and prompts"
        raise wrong("lenses", rule, list(several), "save each with its own save(path)")
    payload = {
        "J": {layer: torch.from_numpy(one.mean).to(dtype) for layer, one in numbered.items()},
        "n_prompts": first.n_prompts,
        "source_layers": sorted(numbered),
        "d_model": d,
        "metadata": _metadata(numbered, first),
    }
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    return write_whole(as_path("path", path), buffer.getvalue(), "path")


def load_jacobian_lens(
    path: str | PathLike[str], layers: Sequence[int] | None = None
) -> dict[int, Lens]:
    """Lenses by layer from such a file, or from a checkpoint of Anthropic's fit.

    They have no errors, for the file has none: these are NaN.

    Args:
        path: The ``.pt`` file; it is read without running code from it.
        layers: Which of them; default all.

    Raises:
        UsageError: The file is missing or of another kind, or has no such layer.

    Cost: an SVD for each layer.
    """
    place = as_path("path", path, "give the file of a lens")
    matrices, prompts, about = _read(place)
    wanted = sorted(matrices) if layers is None else list(layers)
    missing = [layer for layer in wanted if layer not in matrices]
    if missing:
        raise wrong("layers", f"be among {sorted(matrices)}", missing, "leave layers out for all")
    outcome = Outcome(LensEnding.UNKNOWN, {"prompts": prompts})
    found = {}
    for layer in wanted:
        running = Running(1)
        running.add(matrices[layer].double().numpy(), math.nan)
        found[layer] = made_lens(
            running, outcome, stage=f"layer {layer}", to="final", n_prompts=prompts, n_positions=0,
            check=math.nan, settings={"format": FORMAT, "file": place.name, **about},
        )  # fmt: skip
    return found


def _read(place: Path) -> tuple[dict[int, Tensor], int, dict[str, Any]]:
    """Matrices by layer, the number of prompts, and the metadata."""
    try:
        payload = torch.load(place, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a file of another kind
        raise UsageError(
            f"path must be a jacobian-lens file, got {place} ({type(error).__name__}); files "
            "written by lens.save are read by Lens.load."
        ) from error
    known = isinstance(payload, dict) and ("J" in payload or "jacobian_sum" in payload)
    prompts = int(payload.get("n_prompts", payload.get("n_done", 0))) if known else 0
    if not known or ("J" not in payload and prompts < 1):
        got = sorted(payload) if isinstance(payload, dict) else type(payload).__name__
        raise wrong(
            "path", "hold matrices 'J', or 'jacobian_sum' with 'n_done'", got, "see docs/lens.md"
        )
    if "J" in payload:
        matrices = {int(layer): one.float() for layer, one in payload["J"].items()}
    else:
        matrices = {int(k): one.float() / prompts for k, one in payload["jacobian_sum"].items()}
    for layer, one in matrices.items():
        if one.ndim != 2 or not torch.isfinite(one).all():
            got = f"{tuple(one.shape)} at layer {layer}"
            raise wrong("path", "hold finite matrices", got, "take another file")
    return matrices, prompts, dict(payload.get("metadata") or {})


def _layer(lens: Lens) -> int:
    numbers = re.findall(r"\d+", lens.stage)
    if not numbers:
        way_out = "save it with its own save(path)"
        raise wrong("lenses", "be of stages with a number", repr(lens.stage), way_out)
    return int(numbers[-1])


def _metadata(numbered: Mapping[int, Lens], first: Lens) -> dict[str, Any]:
    """Where it comes from, in plain values that ``weights_only`` loading takes."""
    model, target = first.settings.get("model", {}), re.findall(r"\d+", first.to)
    return {
        **({"target_layer": int(target[-1])} if target else {}),
        "estimator": "jacobian_lens",
        "made_by": f"nakami {first.settings.get('versions', {}).get('nakami', '')}".strip(),
        "model_class": str(model.get("name", "")),  # model_name would be held against a hub's
        "weights_sha256": str(model.get("weights_sha256", "")),
        "data_sha256": str(first.settings.get("data_sha256", "")),
        "stages": {str(layer): one.stage for layer, one in numbered.items()},
        "target": first.to,
        "relative_standard_error": {
            str(layer): one.error for layer, one in numbered.items() if np.isfinite(one.error)
        },
    }
