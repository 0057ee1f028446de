"""The tables of what was measured, with the share of the peak that the same machine reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .speed import WIDTHS

Records = dict[str, dict[str, Any]]


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; nothing where there are no rows."""
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = (heads, ["---"] * len(heads), *body)
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) if rows else ""


def speed(units: Records) -> str:
    """All sections that have a unit that passed."""
    done = {name: record for name, record in units.items() if record["state"] == "passed"}
    parts = [f"### {title}\n\n{text}" for title, make in SECTIONS.items() if (text := make(done))]
    return "\n\n".join(["## Speed and memory", *parts]) if parts else ""


def _under(done: Records, kind: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name behind the kind, record and numbers of its units."""
    named = [(n.partition("/")[2], r) for n, r in done.items() if n.startswith(f"{kind}/")]
    return [(name, record, record["numbers"]) for name, record in named]


def _share(done: Records, number: float, of: str = "tflops") -> str:
    """A measured number over the peak of the machine, in per cent."""
    top = done.get("peak/float32", {}).get("numbers", {}).get(of)
    return f"{100 * number / top:.0f} %" if top else "no peak measured"


def _gib(record: dict[str, Any]) -> str:
    return f"{record['peak_bytes'] / 2**30:.2f}"


def peaks(done: Records) -> str:
    """What the machine reaches on work of one kind."""
    rows = [
        [name, f"{numbers['tflops']:.3g}", f"{numbers.get('gb_per_s', 0) or '':.4}"]
        for name, _, numbers in _under(done, "peak")
    ]
    said = "Square matrix product, and a copy in float32 (bytes read and written)."
    return f"{said}\n\n{table(['arithmetic', 'TFLOP/s', 'GB/s'], rows)}" if rows else ""


def products(done: Records) -> str:
    """Time of a column, beside a pass of as many pictures."""
    rows = []
    for name, record, n in _under(done, "products"):
        for width in WIDTHS:
            if f"pass_{width}_ms" in n:
                once, jv, jtu = (n[f"{what}_{width}_ms"] for what in ("pass", "jv", "jtu"))
                shares = [_share(done, n[f"{what}_{width}_tflops"]) for what in ("jv", "jtu")]
                times = [f"{ms:.3g}" for ms in (once, jv, jtu)]
                ratios = [f"{ms / once:.2f}" for ms in (jv, jtu)]
                rows.append([name, str(width), *times, *ratios, *shares, _gib(record)])
    heads = ["network", "columns", "pass, ms each", "J v, ms each", "J^T u, ms each"]
    heads += ["J v / pass", "J^T u / pass", "J v, of peak", "J^T u, of peak", "GiB"]
    return table(heads, rows)


def spectra(done: Records) -> str:
    """The largest values of one Jacobian."""
    rows = [
        [name, f"{n['seconds']:.2f}", f"{n['building_seconds']:.2f}", str(n["products"]),
         _share(done, n["tflops"]), _gib(record), f"{n['largest']:.3g} to {n['last']:.3g}"]
        for name, record, n in _under(done, "spectra")
    ]  # fmt: skip
    heads = ["network/k", "seconds", "of them building", "products", "of peak", "GiB", "values"]
    return table(heads, rows)


def pictures(done: Records) -> str:
    """All stages of many pictures, added up."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, record, _ in _under(done, "pictures"):
        groups.setdefault(name.partition("/")[0], []).append(record)
    rows = []
    for name, records in groups.items():
        times = [record["numbers"]["seconds"] for record in records]
        first = records[0]["numbers"]
        most = max(record["peak_bytes"] for record in records) / 2**30
        cells = [str(len(records)), str(first["stages"]), str(first["k"]), f"{sum(times):.1f}"]
        rows.append([name, *cells, f"{min(times):.1f} to {max(times):.1f}", f"{most:.2f}"])
    heads = ["network", "pictures", "stages of each", "values of each", "seconds in all"]
    return table([*heads, "seconds a picture", "GiB"], rows)


def language(done: Records) -> str:
    """The largest eigenvalue, and two blocks."""
    rows = [
        [f"lambda_max, {name}", f"{n['parameters'] / 1e6:.0f} M parameters",
         f"{n['seconds']:.1f}", str(n["products"]), _share(done, n["tflops"]), _gib(record)]
        for name, record, n in _under(done, "lambda-max")
    ]  # fmt: skip
    rows += [
        [f"two blocks, {name}", f"{n['k']} values of {n['side']}", f"{n['seconds']:.1f}",
         str(n["products"]), "", _gib(record)]
        for name, record, n in _under(done, "blocks")
    ]  # fmt: skip
    return table(["what", "size", "seconds", "products", "of peak", "GiB"], rows)


def steps(done: Records) -> str:
    """Optimizers: AdamW reads four numbers of a weight and writes three, 28 bytes in float32."""
    rows = []
    for name, _, n in _under(done, "step"):
        for what in ("sdprop_ms", "adamw_foreach_ms", "adamw_fused_ms"):
            rate = 28 * n["parameters"] / n[what] / 1e6
            label = what.removesuffix("_ms")
            rows.append([f"{label}, {name}", f"{n[what]:.3g}", _share(done, rate, "gb_per_s")])
    return table(["step", "ms", "28 bytes a weight, of a copy's speed"], rows)


SECTIONS: dict[str, Callable[[Records], str]] = {
    "Peaks": peaks,
    "Products": products,
    "Spectra": spectra,
    "Pictures": pictures,
    "Language models": language,
    "Steps of optimizers": steps,
}
