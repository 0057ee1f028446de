"""What the exported network says of one row, by onnxruntime and NumPy alone."""

import json
import sys
from collections.abc import Mapping

import numpy as np
import onnxruntime

GIVEN = {"machine": "B", "temperature": 63.1, "vibration": 2.2, "flow": 7.6}


def inputs_of(row: Mapping[str, object], about: Mapping[str, str]) -> dict[str, np.ndarray]:
    """A row as the file takes it: numbers as they are, categories as places among their kinds."""
    columns = json.loads(about["nakami.columns"])
    learned = json.loads(about["nakami.preparation"])["learned"]
    numbers = [row[name] for name in columns["numbers"]]
    places = [learned[name]["classes"].index(row[name]) for name in columns["categories"]]
    return {"numbers": np.array([numbers], np.float64), "categories": np.array([places], np.int64)}


def main() -> None:
    """Print the likeliest class of ``GIVEN``."""
    session = onnxruntime.InferenceSession(f"{sys.argv[1]}/model.onnx")
    about = session.get_modelmeta().custom_metadata_map  # what nakami keeps in the file
    (outputs,) = session.run(None, inputs_of(GIVEN, about))
    share = np.exp(outputs[0] - outputs[0].max())
    share /= share.sum()
    label = json.loads(about["nakami.labels"])[share.argmax()]
    print(f"answer: {label} ({share.max():.1%}) to {GIVEN}")


if __name__ == "__main__":
    main()
