"""A folder with a page that answers: the ONNX file, onnxruntime-web beside it, no other server."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from nakami.results import RunError, as_json, disk, write_whole, wrong

from ._onnx import is_large
from ._page import about, kind_of
from ._raw import RawInputs
from ._source import Source

if TYPE_CHECKING:
    from ._exported import Exported

PACKAGE = "onnxruntime-web@1.30.0"
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PAGE = ("page.css", "page.js", "model.js", "text.js", "node.mjs")
FONTS = ("nakami-sans.woff2", "nakami-serif.woff2", "OFL.txt")


def check_web(source: Source, given: RawInputs) -> None:
    """Refuse what a page cannot take, before anything is written.

    Raises:
        UsageError: There is no field for the inputs, or the weights do not fit into one file.
    """
    kind_of(source, given)
    if is_large(given.model):
        raise wrong("to", "be onnx for weights of 2 GiB and more", "web", "write {to}=onnx")


def add_page(
    source: Source, given: RawInputs, exported: Exported, limit: float, runtime: Path | None
) -> Path:
    """Put the page, its script for Node and onnxruntime-web beside an ONNX file.

    Args:
        source: Network and prepared examples.
        given: The same rows as the file takes them.
        exported: What was written.
        limit: The page warns above this difference from torch, too.
        runtime: Folder or archive (.tgz) of onnxruntime-web; None: npm fetches ``PACKAGE``.

    Returns:
        The page.
    """
    folder, own = exported.folder, files(__package__) / "web"
    with disk(folder):
        (folder / "ort").mkdir(exist_ok=True)
        for name in PAGE:
            write_whole(folder / name, (own / name).read_bytes())
        fonts = files("nakami.report") / "page" / "assets"
        for name in FONTS:
            write_whole(folder / name, (fonts / name).read_bytes())
    _bring(folder / "ort", runtime)
    write_whole(folder / "page.json", as_json(about(source, given, exported.labels, limit)))
    return write_whole(folder / "index.html", (own / "page.html").read_bytes())


def _bring(place: Path, runtime: Path | None) -> None:
    """Three files of onnxruntime-web, from npm or from where the user has it."""
    if runtime is not None and runtime.is_dir():
        _copied(place, runtime)
        return
    with tempfile.TemporaryDirectory() as there:
        archive = _packed_by_npm(Path(there)) if runtime is None else runtime
        wanted = [f"package/{name}" for name in (*(f"dist/{n}" for n in RUNTIME), "package.json")]
        try:
            with tarfile.open(archive) as packed:
                members = [packed.getmember(name) for name in wanted]
                packed.extractall(there, members, filter="data")
        except (tarfile.TarError, KeyError, OSError) as error:
            way_out = f"give the archive that npm pack {PACKAGE} writes"
            raise wrong("runtime", "hold onnxruntime-web", archive, way_out) from error
        _copied(place, Path(there) / "package")


def _copied(place: Path, package: Path) -> None:
    dist = package / "dist" if (package / "dist").is_dir() else package
    missing = [name for name in RUNTIME if not (dist / name).is_file()]
    if missing:
        rule = f"hold {', '.join(RUNTIME)}"
        raise wrong("runtime", rule, f"{package} without {missing[0]}", f"unpack {PACKAGE}")
    for name in RUNTIME:
        shutil.copyfile(dist / name, place / name)


def _packed_by_npm(folder: Path) -> Path:
    npm = shutil.which("npm")
    way_out = f"install Node.js, or name an unpacked {PACKAGE} with {{runtime}}"
    if npm is None:
        raise wrong("to", "be onnx where npm is missing, which fetches it", "web", way_out)
    command: Sequence[str] = (npm, "pack", "--silent", PACKAGE)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    archives = [*folder.glob("*.tgz")]
    if done.returncode or not archives:
        said = " ".join(done.stderr.split())[-200:]
        raise RunError(
            f"npm could not fetch {PACKAGE} ({said}); name an unpacked one with {{runtime}}."
        )
    return archives[0]
