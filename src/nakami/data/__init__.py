"""From files to tensors: the shipped digits, arrays, IDX files, pictures, weights, made scenes.

Conventions, the same for every reader: examples along axis 0, float32, channels first; bytes
(uint8) are divided by 255, which ``Examples.unit`` says; floating arrays are taken as they are.

``scenes`` and ``film`` paste ``Objects`` on backgrounds and know where each is; ``shapes`` draws
objects, ``objects_of`` takes the pictures of examples.
"""

from nakami.results import PIXEL

from ._analogies import answered, read_analogies
from ._captioned import Captioned, captioned_shapes, read_captioned
from ._dead_leaves import dead_leaves
from ._digits import digits, mnist
from ._examples import (
    CENTRED_PIXEL,
    EMBEDDED,
    STANDARD_PIXEL,
    Examples,
    Target,
    some_rows,
    tensors_of,
)
from ._film import film
from ._labelled import TOKEN, LabelledExamples, read_labelled, with_targets
from ._made_text import made_text
from ._made_trees import made_trees
from ._objects import Objects, objects_of, shapes
from ._patches import patches
from ._pentomino import (
    PENTOMINO_TYPES,
    Pentominoes,
    pentomino_cells,
    pentomino_patches,
    pentominoes,
)
from ._pictures import is_picture, pictures_in, pillow
from ._read import read
from ._recordings import Recordings, read_recordings
from ._scenes import Scenes, scenes
from ._shape_sentences import is_sentence, is_true, sentence_odds, word_nats
from ._split import read_split
from ._spoken import spoken_words
from ._text import Text, plain_text
from ._textures import textures
from ._trees import Trees, read_trees
from ._weights import (
    described,
    fingerprint,
    load_weights,
    save_weights,
    shipped_weights,
    weights_fingerprint,
)
from ._whitening import Whitening, whitening
from ._word_pairs import word_pairs
from ._words import WordVectors, read_words
from .schema import (
    Column,
    Preparation,
    Prepared,
    Schema,
    Split,
    inspect,
    prepare,
    read_preparation,
    read_schema,
)

__all__ = [
    "CENTRED_PIXEL",
    "EMBEDDED",
    "PENTOMINO_TYPES",
    "PIXEL",
    "STANDARD_PIXEL",
    "TOKEN",
    "Captioned",
    "Column",
    "Examples",
    "LabelledExamples",
    "Objects",
    "Pentominoes",
    "Preparation",
    "Prepared",
    "Recordings",
    "Scenes",
    "Schema",
    "Split",
    "Target",
    "Text",
    "Trees",
    "Whitening",
    "WordVectors",
    "answered",
    "captioned_shapes",
    "dead_leaves",
    "described",
    "digits",
    "film",
    "fingerprint",
    "inspect",
    "is_picture",
    "is_sentence",
    "is_true",
    "load_weights",
    "made_text",
    "made_trees",
    "mnist",
    "objects_of",
    "patches",
    "pentomino_cells",
    "pentomino_patches",
    "pentominoes",
    "pictures_in",
    "pillow",
    "plain_text",
    "prepare",
    "read",
    "read_analogies",
    "read_captioned",
    "read_labelled",
    "read_preparation",
    "read_recordings",
    "read_schema",
    "read_split",
    "read_trees",
    "read_words",
    "save_weights",
    "scenes",
    "sentence_odds",
    "shapes",
    "shipped_weights",
    "some_rows",
    "spoken_words",
    "tensors_of",
    "textures",
    "weights_fingerprint",
    "whitening",
    "with_targets",
    "word_nats",
    "word_pairs",
]
