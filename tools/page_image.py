"""Make docs/images/page.png, the top of the page of an x-ray as README shows it.

nakami xray
python tools/page_image.py nakami-out/dbn-digits/report.html

Needs Chromium and the extra test.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "page.png"
SIZE = {"width": 1280, "height": 1500}
COLOURS = 128  # a palette: a third of the bytes


def main(page: str) -> None:
    """Draw the page in a window and keep what is seen."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        tab = browser.new_page(viewport=SIZE, color_scheme="light")
        tab.goto(Path(page).resolve().as_uri())
        tab.wait_for_selector("html[data-ready]")
        tab.screenshot(path=str(IMAGE), animations="disabled")
        browser.close()
    picture = Image.open(IMAGE).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(IMAGE, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
