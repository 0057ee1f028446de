"""Make the report page's fonts: subset two open typefaces to the signs that the page uses.

    npm pack source-sans@3.52.0 @fontsource-variable/source-serif-4@5.3.1
    (unpack each into its own folder below FONTS)
    python tools/subset_fonts.py FONTS src/nakami/report/page/assets

Needs fonttools and brotli. The families are renamed because "Source" is a reserved font name.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import AxisTriple, instantiateVariableFont

LATIN = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x100)])) + "–—‘’“”…−"
SIGNS = "≤≥≈≠∞→⁰⁴⁵⁶⁷⁸⁹⁻ᵀΔΛΣλμσ"
FONTS = (
    ("source-serif-4-latin-wght-normal.woff2", "nakami-serif", "Nakami Serif", LATIN),
    ("SourceSans3VF-Upright.ttf.woff2", "nakami-sans", "Nakami Sans", LATIN + SIGNS),
)
FEATURES = ["kern", "liga", "lnum", "tnum", "mark", "mkmk", "ccmp", "locl"]


def make(source: Path, target: Path, family: str, text: str) -> int:
    """Subset one font to ``text``, weights 400 to 600, and return its size in bytes."""
    font = TTFont(source)
    options = subset.Options(layout_features=FEATURES, hinting=False, flavor="woff2")
    cutter = subset.Subsetter(options)
    cutter.populate(text=text)
    cutter.subset(font)
    font = instantiateVariableFont(font, {"wght": AxisTriple(400, 400, 600)})
    for record in font["name"].names:
        if record.nameID in (1, 3, 4, 6, 16):
            name = family.replace(" ", "") if record.nameID == 6 else family
            where = (record.platformID, record.platEncID, record.langID)
            font["name"].setName(name, record.nameID, *where)
    subset.save_font(font, str(target), options)
    return target.stat().st_size


def main(fonts: Path, assets: Path) -> None:
    """Make every font of ``FONTS``."""
    for name, short, family, text in FONTS:
        found = next(fonts.rglob(name))
        print(short, make(found, assets / f"{short}.woff2", family, text))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
