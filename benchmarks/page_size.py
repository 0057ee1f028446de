"""The page of a large x-ray: 16 pictures of 3 x 224 x 224, 12 stages, 500 values each.

    python benchmarks/page_size.py [--save page.html]

Spectra are made by a formula (a power law with noise), vectors are smoothed noise, pictures are
drawn; so the page is as large as a real one, without data. Bytes of the file, seconds to write it,
and seconds until the page has drawn itself in Chromium (median of 5, started anew; playwright and
its Chromium, or ``--chromium PATH``), at 1280 and at 390 pixels of width.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import _side_by_side as side
import numpy as np
from scipy.ndimage import gaussian_filter

INPUTS, STAGES, K, SIDE, KEPT = 16, 12, 500, 224, 12


def smooth(rng: np.random.Generator, width: float) -> np.ndarray:
    """Noise of three channels, smoothed over so many pixels."""
    return np.stack([gaussian_filter(rng.normal(size=(SIDE, SIDE)), width) for _ in range(3)])


def made() -> Any:
    """The x-ray."""
    from nakami.results import Outcome, Spectrum, SpectrumEnding, StageInfo, Xray, versions

    rng = np.random.default_rng(0)
    names = [f"layer{i + 1}" for i in range(STAGES)]
    stages = (
        StageInfo("input", "input", (3, SIDE, SIDE)),
        *(StageInfo(name, "conv2d", (64, 28, 28)) for name in names),
    )
    index = np.arange(1, K + 1)
    kept = np.array([*range(4), *range(248, 252), *range(496, 500)])
    spectra = []
    for i in range(INPUTS):
        for depth, name in enumerate(names):
            law = 30 * index ** -(0.2 + depth / 12) * np.exp(0.1 * rng.normal(size=K))
            right = np.stack([smooth(rng, 1 + 4 * (j % 4)).ravel() for j in range(KEPT)])
            right /= np.linalg.norm(right, axis=1, keepdims=True)
            spectra.append(
                Spectrum(
                    input=i,
                    stage=name,
                    source="input",
                    shape=(64 * 28 * 28, 3 * SIDE**2),
                    values=np.sort(law)[::-1],
                    residuals=np.full(K, 1e-5),
                    reliable=np.ones(K, dtype=bool),
                    floor=1e-4,
                    outcome=Outcome(SpectrumEnding.WITHIN, {"count": K, "tol": 1e-4}),
                    method="krylov",
                    route="linearised",
                    n_products=2000,
                    kept=kept,
                    right=right.astype(np.float32),
                    areas=np.sort(rng.uniform(500, 20000, K)),
                )
            )
    pictures = np.stack([np.clip(0.5 + 2 * smooth(rng, 6), 0, 1) for _ in range(INPUTS)])
    settings = {
        "subject": "made by a formula", "input_unit": "pixel, 0 to 1", "inputs_sha256": "made",
        "n_inputs": INPUTS, "seed": 0, "k": K, "tol": 1e-4, "versions": versions(), "model": {},
        "stages": [{"name": s.name, "kind": s.kind, "shape": list(s.shape)} for s in stages],
    }  # fmt: skip
    return Xray(settings, stages, pictures.astype(np.float32), tuple(spectra))


def opened(page: Path, chromium: str | None, width: int) -> tuple[float, int]:
    """Seconds until the page says that it is ready, and its width then."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium)
        tab = browser.new_page(viewport={"width": width, "height": 900})
        began = time.perf_counter()
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("html[data-ready]", timeout=60_000)
        seconds = time.perf_counter() - began
        wide = tab.evaluate("document.documentElement.scrollWidth")
        browser.close()
    return seconds, wide


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--save", type=Path, help="keep the page here")
    parser.add_argument("--chromium", help="program of the browser")
    asked = parser.parse_args()
    from nakami import report

    path = asked.save or Path(tempfile.mkdtemp()) / "page.html"
    run = made()
    began = time.process_time()
    report.write(run, path)
    row: dict[str, Any] = {"written_cpu_s": round(time.process_time() - began, 2)}
    row["bytes"] = path.stat().st_size
    for width in (1280, 390):
        tries = [opened(path, asked.chromium, width) for _ in range(5)]
        row[f"ready_s_{width}"] = round(statistics.median(s for s, _ in tries), 2)
        row[f"fits_{width}"] = all(wide <= width for _, wide in tries)
    row["commit"] = side.COMMIT
    print(json.dumps(row))
    (side.RESULTS / "page_size.json").write_text(json.dumps(row) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
