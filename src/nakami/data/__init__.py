"""From files to tensors: the shipped digits, arrays, IDX files, pictures, and weights of a model.

Conventions, the same for every reader: examples along axis 0, float32, channels first; bytes
(uint8) are divided by 255, which ``Examples.unit`` says; floating arrays are taken as they are.
"""

from nakami.results import PIXEL

from ._digits import digits, mnist
from ._examples import (
    CENTRED_PIXEL,
    EMBEDDED,
    STANDARD_PIXEL,
    Examples,
    some_rows,
    tensors_of,
)
from ._labelled import TOKEN, LabelledExamples, read_labelled, with_targets
from ._pictures import is_picture, pictures_in, pillow
from ._read import read
from ._split import read_split
from ._weights import (
    described,
    fingerprint,
    load_weights,
    save_weights,
    shipped_weights,
    weights_fingerprint,
)

__all__ = [
    "CENTRED_PIXEL",
    "EMBEDDED",
    "PIXEL",
    "STANDARD_PIXEL",
    "TOKEN",
    "Examples",
    "LabelledExamples",
    "described",
    "digits",
    "fingerprint",
    "is_picture",
    "load_weights",
    "mnist",
    "pictures_in",
    "pillow",
    "read",
    "read_labelled",
    "read_split",
    "save_weights",
    "shipped_weights",
    "some_rows",
    "tensors_of",
    "weights_fingerprint",
    "with_targets",
]
