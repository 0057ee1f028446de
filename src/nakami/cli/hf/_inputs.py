"""Texts and pictures as the network of a folder takes them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nakami.results import wrong

from ._folder import Folder, folder_of
from ._pictures import normalised, read_pictures
from ._texts import read_labelled_texts, read_texts

if TYPE_CHECKING:
    from nakami.data import Examples, LabelledExamples

    from .._groups import DataOptions

TEXTS = (".txt", ".text")
START = "its decoder gets the start token alone"


def examples(model: str, inputs: DataOptions, n: int) -> Examples | None:
    """The first ``n`` examples; None for pictures where options say how to read them.

    Pictures, also bytes in an array, are normalised by the folder's rule.

    An encoder-decoder network gets, beside the tokens of its encoder, the start token of its
    decoder, as at the first step of a generation.
    """
    path = _given(model, inputs)
    folder = folder_of(model)
    from nakami import data

    if is_text(path):
        _no_options(inputs, path)
        found = read_texts(folder, path, n)
    elif path.is_dir() or data.is_picture(path):
        if inputs.typed:
            return None
        files = [path] if path.is_file() else data.pictures_in(path)[:n]
        if not files:
            raise wrong("--data", "be a folder with pictures", path, "put .png or .jpg files there")
        return read_pictures(folder, files, path)
    else:
        found = data.read(path, n=n, **inputs.reading)
    return normalised(folder, _with_decoder(folder, found))


def labelled(
    model: str, inputs: DataOptions, n: int, seed: int, inside: bool
) -> LabelledExamples | None:
    """Texts with the tokens that follow as targets, pictures with their classes, or others.

    None for pictures where options say how to read them.
    """
    path, folder = _given(model, inputs), folder_of(model)
    from nakami import data

    if is_text(path):
        _no_options(inputs, path)
        return read_labelled_texts(folder, path, n, seed, inside)
    if path.is_dir() and inputs.typed:
        return None
    found = data.read_labelled(
        path, n, seed=seed, inside=inside, pictures=partial(read_pictures, folder), **inputs.reading
    )
    return found if path.is_dir() else normalised(folder, found)


def is_text(path: Path) -> bool:
    """Whether the name is that of a file of texts."""
    return path.suffix.lower() in TEXTS and path.is_file()


def _given(model: str, inputs: DataOptions) -> Path:
    if inputs.data is None:
        way_out = "pass --data PATH: a .txt with one text a line, .npy or .npz of tokens, pictures"
        raise wrong("--data", f"be given with --model {model}", "none", way_out)
    return inputs.data


def _no_options(inputs: DataOptions, path: Path) -> None:
    if inputs.typed:
        got = f"a text, {path.name}"
        raise wrong(", ".join(inputs.typed), "come with arrays or pictures", got, "leave it out")


def _with_decoder(folder: Folder, found: Examples) -> Examples:
    from dataclasses import replace

    import torch

    start = folder.config.get("decoder_start_token_id")
    parts: Any = found.inputs
    named = dict(parts) if isinstance(parts, dict) else {"input_ids": parts}
    floating = named["input_ids"].is_floating_point() if "input_ids" in named else True
    if not folder.config.get("is_encoder_decoder") or "decoder_input_ids" in named or floating:
        return found
    if start is None:
        raise wrong(
            f"{folder.path / 'config.json'}", "name decoder_start_token_id", "none",
            "write it there, or pass an .npz with input_ids and decoder_input_ids",
        )  # fmt: skip
    named["decoder_input_ids"] = torch.full((len(found), 1), int(start))
    return replace(found, inputs=named, source=f"{found.source}; {START}")
