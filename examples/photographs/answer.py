"""What the exported network says of one picture, by onnxruntime, NumPy and Pillow alone."""

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

GIVEN = next(Path("photographs/key").iterdir())


def inputs_of(file: Path, about: Mapping[str, str]) -> dict[str, np.ndarray]:
    """A picture as the file takes it: shorter side scaled, centre cut out, pixels in 0..1."""
    schema = tomllib.loads(json.loads(about["nakami.preparation"])["schema"])
    side = schema["columns"]["file"]["size"]
    picture = Image.open(file).convert("RGB")
    scale = side / min(picture.size)
    w, h = (max(side, int(length * scale)) for length in picture.size)
    picture = picture.resize((w, h), Image.Resampling.BILINEAR)
    left, top = round((w - side) / 2), round((h - side) / 2)
    picture = picture.crop((left, top, left + side, top + side))
    pixels = np.asarray(picture, np.float32) / 255
    return {"input": pixels.transpose(2, 0, 1)[None]}


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
