"""Lines of a text file as tokens, by the tokenizer of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nakami.results import counted, first_names, wrong

from .._exit_codes import one_line
from ._folder import OTHERS_CODE, Folder, quiet, read_json

if TYPE_CHECKING:
    from nakami.data import Examples, LabelledExamples

FILES = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt",
    "vocab.json",
)  # fmt: skip
AS_TOKENS = "tokenise elsewhere and pass the ids, np.save('ids.npy', ids)"
LANGUAGE = ("ForCausalLM", "LMHeadModel")  # classes that say which token follows
NO_TARGET = -100  # what cross-entropy leaves out
SHOWN = 40  # characters of a text that its name shows
LONGEST = 10**6  # what tokenizers without a limit give for one lies above


def read_texts(folder: Folder, path: Path, n: int) -> Examples:
    """The first ``n`` texts of a file, one a line; blank lines are no texts.

    Shorter texts are filled up at their end and masked: ``{"input_ids", "attention_mask"}``, each
    ``(N, longest)``. An x-ray reads each at its own length.
    """
    from nakami import data

    lines = _lines(path)[:n]
    rows, said = _tokens(folder, path, lines)
    ids, mask = _filled(rows)
    names = tuple(f"line {number}: {_short(text)}" for number, text in lines)
    inputs: Any = ids if bool(mask.all()) else {"input_ids": ids, "attention_mask": mask}
    source = f"{counted(len(rows), 'text')} of {path.name}, {_lengths(rows)}{said}"
    return data.Examples(inputs, None, names, data.EMBEDDED, source, None, "text")


def read_labelled_texts(
    folder: Folder, path: Path, n: int, seed: int, inside: bool
) -> LabelledExamples:
    """Texts drawn at random, with the token that follows each token as its target.

    ``inside``: the network makes its loss, of ``labels`` among its inputs that it shifts itself.
    """
    import torch

    from nakami import data

    if not folder.kind.endswith(LANGUAGE):
        rule = f"hold labels for {folder.kind or 'this network'}"
        way_out = "store them by names, as np.savez('tokens.npz', input_ids=ids, labels=labels)"
        raise wrong("--data", rule, f"texts alone, {path.name}", way_out)
    lines = _lines(path)
    drawn = torch.randperm(len(lines), generator=torch.Generator().manual_seed(seed))[:n]
    rows, said = _tokens(folder, path, [lines[i] for i in drawn.tolist()])
    ids, mask = _filled(rows)
    targets = ids.masked_fill(mask == 0, NO_TARGET)
    inputs: Any = {"input_ids": ids, "attention_mask": mask}
    if inside:
        inputs["labels"] = targets
    else:
        if ids.shape[1] < 2:
            raise wrong("--data", "hold texts of two tokens or more", path.name, "write more")
        inputs = {name: value[:, :-1] for name, value in inputs.items()}
        targets = targets[:, 1:]
        if bool(mask.all()):
            inputs = inputs["input_ids"]
    shown = f"{len(rows)} of {counted(len(lines), 'text')} of {path.name}, {_lengths(rows)}{said}"
    return data.LabelledExamples(
        inputs, targets, data.TOKEN, f"{shown}, each token from those before"
    )


def _lines(path: Path) -> list[tuple[int, str]]:
    """The texts of a file with the numbers of their lines."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        way_out = "save it as UTF-8"
        raise wrong(f"{path}", "be text in UTF-8", one_line(error), way_out) from error
    found = [(i, line.strip()) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not found:
        raise wrong(f"{path}", "hold one text a line", "blank lines alone", "write some")
    return found


def _tokens(
    folder: Folder, path: Path, lines: list[tuple[int, str]]
) -> tuple[list[list[int]], str]:
    """Ids of each text, and in how many they were cut off."""
    with quiet():
        tokenizer = tokenizer_of(folder)
        rows = [list(tokenizer(text)["input_ids"]) for _, text in lines]
    for (number, _), row in zip(lines, rows, strict=True):
        if not row:
            raise wrong(
                f"{path}", "hold texts with tokens", f"none in line {number}", "leave it out"
            )
    most = _most(folder, tokenizer)
    cut = sum(len(row) > most for row in rows)
    said = f", {counted(cut, 'text')} cut to the {most:,} tokens that it takes" if cut else ""
    return [row[:most] for row in rows], said


def tokenizer_of(folder: Folder) -> Any:
    """The tokenizer of a folder."""
    path, files = folder.path, [name for name in FILES if (folder.path / name).is_file()]
    if not files:
        raise wrong(
            "--model", "name a folder with a tokenizer, where --data is a text",
            f"{str(path)!r} without one ({first_names(FILES)})", AS_TOKENS,
        )  # fmt: skip
    about = path / "tokenizer_config.json"
    if about.is_file() and OTHERS_CODE in read_json(about):
        rule = "need no code of its folder for its tokenizer"
        raise wrong("--model", rule, f"{about} with {OTHERS_CODE}", AS_TOKENS)
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        got = f"{', '.join(files)} in {path} and from transformers {one_line(error)}"
        rule = "hold a tokenizer that can be loaded"
        raise wrong("--model", rule, got, AS_TOKENS) from error


def _most(folder: Folder, tokenizer: Any) -> int:
    """Tokens that the network takes, at most."""
    known = [folder.config.get(name) for name in ("max_position_embeddings", "n_positions")]
    known.append(getattr(tokenizer, "model_max_length", None))
    return min((int(k) for k in known if k and 0 < k < LONGEST), default=LONGEST)


def _filled(rows: list[list[int]]) -> tuple[Any, Any]:
    """Ids filled up with zeros to the longest, and the mask that says where they are ids."""
    import torch

    longest = max(map(len, rows))
    ids, mask = (torch.zeros(len(rows), longest, dtype=torch.int64) for _ in range(2))
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
    return ids, mask


def _lengths(rows: list[list[int]]) -> str:
    low, high = min(map(len, rows)), max(map(len, rows))
    return counted(low, "token") if low == high else f"{low} to {high} tokens"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3].rstrip()}..."
