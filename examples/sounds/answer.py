"""What the exported network says of one sound, by onnxruntime, NumPy and soundfile alone."""

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

GIVEN = next(Path("sounds/hum").iterdir())


def inputs_of(file: Path, about: Mapping[str, str]) -> dict[str, np.ndarray]:
    """A sound as the file takes it: samples at the rate of the schema, filled up with silence."""
    schema = tomllib.loads(json.loads(about["nakami.preparation"])["schema"])
    taken = schema["columns"]["file"]
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    assert rate == taken["rate"], "bring the sound to the rate of the schema first"
    samples = samples.mean(1)[: round(rate * taken["seconds"])]
    silence = np.zeros(round(rate * taken["seconds"]) - len(samples), np.float32)
    return {"samples": np.concatenate([samples, silence])[None]}


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
