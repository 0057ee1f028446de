"""What the exported network says of one text, by onnxruntime and NumPy alone."""

import json
import re
import sys
from collections.abc import Mapping

import numpy as np
import onnxruntime

GIVEN = "Nobody carried our bags, and the woman at the desk was rude!"
WORD = re.compile(r"\w+(?:['’]\w+)*")


def inputs_of(text: str, about: Mapping[str, str]) -> dict[str, np.ndarray]:
    """A text as the file takes it: places of words, 1 for an unknown one, filled up with 0."""
    learned = json.loads(about["nakami.preparation"])["learned"]["said"]
    place = {word: i for i, word in enumerate(learned["kinds"], start=2)}
    places = [place.get(word, 1) for word in WORD.findall(text.lower())][: learned["length"]]
    places += [0] * (learned["length"] - len(places))
    return {"input": np.array([places], np.int64)}


def main() -> None:
    """Print the likeliest topic of ``GIVEN``."""
    session = onnxruntime.InferenceSession(f"{sys.argv[1]}/model.onnx")
    about = session.get_modelmeta().custom_metadata_map  # what nakami keeps in the file
    (outputs,) = session.run(None, inputs_of(GIVEN, about))
    share = np.exp(outputs[0] - outputs[0].max())
    share /= share.sum()
    label = json.loads(about["nakami.labels"])[share.argmax()]
    print(f"answer: {label} ({share.max():.1%}) to {GIVEN}")


if __name__ == "__main__":
    main()
