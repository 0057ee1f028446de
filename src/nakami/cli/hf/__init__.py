"""``--model hf:FOLDER``: networks, texts and pictures of a local Hugging Face folder.

Nothing is fetched, and no code of a folder is run: its ``config.json`` names a class of
transformers, its weights are safetensors, its tokenizer is one of transformers.
"""

from ._folder import PREFIX, check, is_hf, load, name_of, training
from ._inputs import examples, is_text, labelled
from ._words import words

__all__ = [
    "PREFIX",
    "check",
    "examples",
    "is_hf",
    "is_text",
    "labelled",
    "load",
    "name_of",
    "training",
    "words",
]
