"""What trained recurrent nets do: exponents, growth and states of rest, driven by real inputs.

Nobody has published such a table, so there is nothing to compare with. Read for each net, in
float64, by `nakami.recurrent`:

* driven: the largest Lyapunov exponents along its real inputs, the state carried on;
* left alone: the same at zero input from the states of the driven net;
* growth: the largest singular value of the state's Jacobian over some steps, in episodes as the net
  meets them in use, from the state it starts with;
* fixed points at zero input and at one typical input, from random states, from states of the driven
  net and from what these become after 2,000 plain steps, and the least speed |F(h) - h| there;
* margins of the GRUs: sigma_1 of W_hn (the constraint of source 004 bounds it by 2) and the
  spectral radius of I/2 + W_hn/4.

Nets: g2p_en 2.1.0 (GRU encoder and decoder; letters and sounds of the words in
`_recurrent_drives.py`); three policies of Atari games with a GRU, while they play one game of up to
1,000 frames; Silero VAD 6.2.3 (an LSTM) on spoken digits in a row; textgenrnn 2.0.0 (two LSTMs) on
the sentences in `_recurrent_lstms.py`. The typical input is a letter, a sound or a character, for
the games and Silero the mean input.

    python reproductions/recurrent_nets.py                        all; goes on
    python reproductions/recurrent_nets.py --nets "g2p decoder"   some

Measured, one thread: one to five minutes for each net, 11 for textgenrnn, nearly all of it searches
for fixed points that do not settle. The games need ale-py and gymnasium and are left out without
them. Data: DATA.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nakami.recurrent import LyapunovSpectrum, StateMap, fixed_points, growth, lyapunov, margins

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _recurrent_drives import G2P, Drive  # noqa: E402
from _recurrent_games import GAMES, game  # noqa: E402
from _recurrent_lstms import speech, text  # noqa: E402
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, table  # noqa: E402

OUT = HERE / "results" / "recurrent_nets"
K, EPISODES, ALONE, PLAIN = 8, 20, 600, 2000
LOADERS: dict[str, Callable[[Path], dict[str, Drive]]] = {
    "g2p encoder": lambda root: G2P(root).drives(),
    "g2p decoder": lambda root: G2P(root).drives(),
    **{name: partial(game, name=name) for name in GAMES},
    "silero": speech,
    "textgenrnn": text,
}


def main(argv: list[str] | None = None) -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--nets", nargs="+", default=list(LOADERS), choices=list(LOADERS))
    torch.set_num_threads(1)
    root = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    if not root.is_dir():
        sys.exit(f"no data: {root} is needed; set NAKAMI_DATA to its folder.")
    kept = Kept(OUT.with_suffix(".json"), {"k": K, "episodes": EPISODES, "alone": ALONE})
    for name in kept.missing(arguments.parse_args(argv).nets):
        started = time.process_time()
        try:
            drive = LOADERS[name](root)[name]
        except ImportError as missing:
            print(f"{name} left out: {missing}; pip install ale-py==0.12.1 gymnasium==1.4.0")
            continue
        record = read(drive)
        kept.add(name, {**record, "cpu": digits(time.process_time() - started, 3)})
        print(name, kept.records[name], flush=True)
    OUT.with_suffix(".md").write_text("\n".join(report(kept.records)), encoding="utf-8")


def read(drive: Drive) -> dict[str, Any]:
    """All readings of one net."""
    net = StateMap(drive.net)
    states = net.run(drive.inputs)[:, drive.discard :].flatten(0, 1)
    few = states[:: max(1, len(states) // 16)][:16]
    zero = torch.zeros(net.input_size, dtype=torch.float64)
    left = zero.expand(len(few), ALONE, -1)
    return {
        "check": drive.check,
        "state": net.state_size,
        "driven": spectrum(lyapunov(net, drive.inputs, K, discard=drive.discard)),
        "alone": spectrum(lyapunov(net, left, 3, start=few, discard=ALONE // 2)),
        "growth": grown(net, drive),
        "rest": {"zero": rest(net, zero, few), "typical": rest(net, drive.typical, few)},
        "margin": margin(drive.net),
    }


def spectrum(found: LyapunovSpectrum) -> dict[str, Any]:
    """Exponents and errors as numbers."""
    return {
        "exponents": [digits(x) for x in found.exponents],
        "errors": [digits(x, 2) for x in found.standard_errors],
        "steps": found.steps,
        "converged": found.converged,
    }


def grown(net: StateMap, drive: Drive) -> dict[str, Any]:
    """Largest singular values over ``length`` steps from the start of episodes."""
    long = [(x, start) for x, start in drive.episodes if len(x) >= drive.length][:EPISODES]
    found = [growth(net, x[: drive.length], drive.length, start=start) for x, start in long]
    values = [float(g.singular_values[0, 0]) for g in found]
    return {
        "length": drive.length,
        "episodes": len(values),
        "median": digits(np.median(values)),
        "range": [digits(min(values)), digits(max(values))],
        "converged": all(bool(g.converged.all()) for g in found),
    }


def rest(net: StateMap, x: Tensor, states: Tensor) -> dict[str, Any]:
    """Fixed points at a constant input, and how slow the state gets there."""
    with torch.no_grad():
        after = net.run(x.expand(len(states), PLAIN, -1), states)[:, -2:]
    speeds = (after[:, 1] - after[:, 0]).norm(dim=1)
    starts = torch.cat([states[:4], after[:4, 1]])
    found = fixed_points(net, x, states=starts, random_starts=8)
    return {
        "speed": [digits(float(speeds.min()), 2), digits(float(speeds.max()), 2)],
        "distinct": len(found.points),
        "stable": int(found.stable.sum()),
        "radii": [digits(r, 6) for r in found.radii[:3]],
        "unstable": [int(n) for n in found.unstable_directions[:3]],
        "crossings": list(found.crossings[:3]),
        "reason": found.reason,
    }


def margin(net: nn.Module) -> dict[str, float] | None:
    """Of a GRU."""
    if not isinstance(net, nn.GRU | nn.GRUCell):
        return None
    found = margins(net)[0]
    return {"sigma": digits(found.sigma), "radius": digits(found.radius)}


def report(records: dict[str, Any]) -> Iterator[str]:
    """One table for time, one for states of rest."""
    yield "# What trained recurrent nets do, driven by their real inputs"
    yield ""
    yield "Exponents in nats a step ± standard error; growth: the largest singular value of the"
    yield "state's Jacobian over the first steps of an episode, median (range)."
    yield ""
    rows = []
    for name, r in records.items():
        g, m = r["growth"], r["margin"]
        low, high = g["range"]
        rows.append([
            name,
            str(r["state"]),
            f"{m['sigma']:.2f}, {m['radius']:.2f}" if m else "no GRU",
            _exponent(r["driven"], 0),
            _exponent(r["driven"], len(r["driven"]["exponents"]) - 1),
            _exponent(r["alone"], 0),
            f"{g['median']:.3g} ({low:.3g} to {high:.3g}), {g['length']} steps, {g['episodes']}",
        ])  # fmt: skip
    head = ["net", "state", "sigma_1 of W_hn, radius of I/2 + W_hn/4", "driven, largest"]
    yield from table([*head, f"driven, {K}th", "zero input, largest", "growth, episodes"], rows)
    yield ""
    yield f"States of rest. Speed: |F(h) - h| after {PLAIN} plain steps from states of the driven"
    yield "net, least and largest. Radius: spectral radius of the Jacobian at the most stable."
    yield ""
    rows = []
    for name, r in records.items():
        for at, found in r["rest"].items():
            low, high = found["speed"]
            radii = found["radii"]
            rows.append([
                name,
                at,
                f"{low:.2g} to {high:.2g}",
                f"{found['distinct']}, {found['stable']}",
                f"{radii[0]:.6g}, {found['crossings'][0]}" if radii else "",
                found["reason"],
            ])  # fmt: skip
    yield from table(["net", "input", "speed", "found, stable", "radius, kind", "search"], rows)
    yield ""
    for name, r in records.items():
        words = ", ".join(f"{key} {value}" for key, value in r["check"].items())
        yield f"* {name}: {r['driven']['steps']} driven steps; check of the weights: {words}."
    yield ""
    yield made_in(sum(r["cpu"] for r in records.values()))
    yield ""


def _exponent(found: dict[str, Any], i: int) -> str:
    mark = "" if found["converged"] else " (error not trusted)"
    return f"{found['exponents'][i]:.4f} ± {found['errors'][i]:.1g}{mark}"


if __name__ == "__main__":
    main()
