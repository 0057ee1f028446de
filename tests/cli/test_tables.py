"""What tables say beside their numbers."""

import io
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from rich.console import Console

import nakami as library
from nakami.cli import _comparison_tables, _lr_tables, _plateau_tables, _tables
from nakami.cli._progress import Meter
from nakami.results import Estimate, Outcome, SpectrumEnding, brief, compare
from spectra_made_by_hand import xray

SOURCE = Path(library.__file__).parent


def test_captions_say_how_many_inputs_were_read():
    whole = xray([[9.0], [2.0], [5.0], [7.0]])
    part = replace(whole, spectra=whole.spectra[:3])
    assert _tables.xray_table(whole).caption.startswith("Mean ± sd over 4 inputs;")
    assert _tables.xray_table(part).caption.startswith("Mean ± sd over 3 of 4 inputs;")
    paired = _comparison_tables.comparison_table(compare(whole, part)).caption
    assert paired.startswith("Paired over 3 of 4 inputs;")
    one = xray([[9.0]])
    assert _tables.xray_table(one).caption.startswith("At 1 input; input unit: pixel")
    alone = _comparison_tables.comparison_table(compare(one, one)).caption
    assert alone.startswith("At 1 input: no standard error")


def test_stages_read_at_different_numbers_of_inputs():
    assert _tables.at_inputs([2, 5, 5], 16) == "2 to 5 of 16 inputs"
    assert _tables.at_inputs([16, 16], 16) == "16 inputs"
    assert _tables.at_inputs([], 1) == "0 of 1 input"


def test_an_unfinished_run_says_so():
    whole = xray([[9.0, 1.0]] * 4)
    part = replace(whole, spectra=whole.spectra[:3])
    assert "3 of 4 spectra so far; the same command continues" in _tables.xray_table(part).caption
    assert "so far" not in _tables.xray_table(whole).caption
    none = _tables.xray_table(replace(whole, spectra=())).caption
    assert "0 of 4 spectra so far" in none
    assert "converged" not in none


def test_layers_count_among_the_spectra_to_come():
    part = xray([[9.0]] * 2)
    stages = (*part.stages, replace(part.stages[1], name="h2"))
    part = replace(part, stages=stages, settings={**part.settings, "layers": True})
    assert "2 of 6 spectra so far" in _tables.xray_table(part).caption


def cells(run):
    return {column.header: list(column.cells) for column in _tables.xray_table(run).columns}


def test_a_value_below_the_floor_is_a_bound_and_no_number():
    run = xray([[2.0, 1e-3], [4.0, 1e-9]])
    assert cells(run)["s_k/s₁"] == ["2.5e-04"]
    assert "<:" not in _tables.xray_table(run).caption
    noise = replace(run.spectra[1], reliable=np.array([True, False]), floor=4e-6)
    run = replace(run, spectra=(run.spectra[0], noise))
    assert cells(run)["s_k/s₁"] == ["2.5e-04 (noise at 1 of 2)"]
    caption = _tables.xray_table(run).caption
    assert ("<:" in caption, "noise: below what the arithmetic" in caption) == (False, True)
    run = replace(run, spectra=(noise,))
    assert cells(run)["s_k/s₁"] == ["< 1.0e-06"]
    assert cells(run)["s₁"] == ["4"]
    assert "<: below what the arithmetic can tell from zero" in _tables.xray_table(run).caption
    zero = replace(noise, values=np.zeros(2), reliable=np.array([False, False]))
    assert cells(replace(run, spectra=(zero,)))["s₁"] == ["< 4.0e-06"]


def test_values_at_the_limit_of_the_arithmetic_stand_beside_converged():
    run = xray([[2.0, 1.0, 1e-3]] * 2)
    assert "limit" not in _tables.xray_table(run).caption
    first, second = (
        replace(s, outcome=Outcome(SpectrumEnding.LIMITED, {"limited": n}))
        for s, n in zip(run.spectra, (1, 2), strict=True)
    )
    caption = _tables.xray_table(replace(run, spectra=(first, second))).caption
    assert "2 of 2 spectra converged, 3 of 6 values at the limit of the arithmetic;" in caption


def test_the_engine_counts_what_the_table_shows():
    found = library.svd(torch.diag(torch.tensor([1.0, 1e-3, 1e-12, 1e-13])))
    piece = replace(xray([[1.0]]).spectra[0], outcome=found.outcome)
    assert found.converged
    assert piece.limited >= 2


def test_the_head_says_what_was_read():
    run = xray([[9.0]])
    assert _tables.xray_table(run).title == "by hand"
    run = replace(run, settings={**run.settings, "data": "3 pictures of x: 8 x 8 as they are"})
    assert (
        _tables.xray_table(run).title == "by hand, inputs from 3 pictures of x: 8 x 8 as they are"
    )


def test_a_comparison_fits_a_narrow_terminal():
    before, after = [[9.0, 1.5], [4.0, 0.5], [7.0, 2.5]], [[9.5, 2.5], [4.5, 0.9], [9.0, 3.9]]
    stage = "features.denseblock1"
    result = compare(xray(before, stage), xray(after, stage))
    console = Console(width=80)
    with console.capture() as captured:
        console.print(_comparison_tables.comparison_table(result))
    text = captured.get()
    assert "…" not in text
    for word in (
        "stage",
        "reading",
        "before",
        "after",
        "change ± s.e.",
        "95 % interval",
        "verdict",
    ):
        assert f" {word} " in text
    for reading in _tables.WORDS.values():
        assert f" {reading} " in text  # on one line
    (column,) = (
        c for c in _comparison_tables.comparison_table(result).columns if c.header == "verdict"
    )
    assert set(column.cells) == {"none", "rises"}


def test_a_comparison_shows_which_counts_are_bounds():
    before = [[3.0, 0.5, 0.1], [4.0, 0.5, 0.1], [3.5, 0.5, 0.1]]
    after = [[9.0, 5.5], [9.0, 4.5], [9.0, 5.0]]  # two of three values, all above 1

    def rows(one, other):
        result = compare(xray(one, shape=(3, 3)), xray(other, shape=(3, 3)))
        cells = [
            list(column.cells) for column in _comparison_tables.comparison_table(result).columns
        ]
        return {row[1]: row[2:] for row in zip(*cells, strict=True)}

    assert rows(before, after)["s > 1"] == ("1", "≥ 2", "≥ +1.000 ± 0.000", "from +1.000", "rises")
    assert rows(after, before)["s > 1"] == ("≥ 2", "1", "≤ −1.000 ± 0.000", "up to −1.000", "falls")
    assert rows(after, after)["s > 1"][2:] == ("not known", "", "not known")
    assert rows(before, after)["s₁"][-1] == "rises"


def test_a_noise_scale_of_which_nothing_is_known_has_no_bound_of_zero():
    def shown(at_least):
        noise = SimpleNamespace(value=None, at_least=at_least, advice="too few")
        return _lr_tables._noise(SimpleNamespace(limit=SimpleNamespace(noise=noise)))[0][1]

    assert [shown(x) for x in (0.0, 12.0, math.inf)] == ["not known", "≥ 12 samples", "all noise"]


def test_a_long_name_is_wrapped_and_not_cut():
    name = "features.stage_three.block_11.attention.output_projection"
    table = _tables.TextTable("title", "caption", ("layer", "u²", "grad²"), [(name, "1", "2")])
    console = Console(width=40, record=True, file=io.StringIO())
    console.print(table.drawn())
    shown = console.export_text()
    assert name in "".join(shown.split()).replace("12", "")
    assert "…" not in shown


def test_numbers_are_never_cut_in_a_file(capsys):
    numbers = [f"{i}.2345±0.0001" for i in range(12)]
    head = ("stage", *(f"n{i}" for i in range(12)))
    table = _tables.TextTable("title", "caption", head, [("a.long.name.of.a.stage", *numbers)])
    _tables.show(table.drawn())
    printed = capsys.readouterr().out
    assert all(number in printed for number in numbers)
    heads = ("stage", "for 5 %", *(f"n{i}" for i in range(8)))  # a heading of several words
    table = _tables.TextTable("title", "caption", heads, [("model.layers.0", "90", *numbers[:8])])
    _tables.show(table.drawn())
    printed = capsys.readouterr().out
    assert all(number in printed for number in ("model.layers.0", *numbers[:8]))
    assert "\N{HORIZONTAL ELLIPSIS}" not in printed


def test_a_residual_above_the_tolerance_is_explained():
    """The engine certifies values; a residual of 2e-3 shifts one by about its square."""
    run = xray([[2.0, 1.0]] * 2)
    run = replace(run, settings={**run.settings, "tol": 1e-4})
    assert "of the vectors" not in _tables.xray_table(run).caption
    large = replace(run.spectra[0], residuals=np.array([1e-9, 2e-3]))
    caption = _tables.xray_table(replace(run, spectra=(large, run.spectra[1]))).caption
    first, second = caption.splitlines()[-2:]
    assert first == "2 of 2 spectra converged; largest relative residual 2.0e-03."
    assert second == (
        "A residual is that of the vectors. The error of a value goes with its square: "
        "at most 1e-04 of the value."
    )
    matrix = torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64))
    v = torch.tensor([1.0, 2e-3], dtype=torch.float64)
    v /= v.norm()
    value = v @ matrix @ v
    assert float((matrix @ v - value * v).norm()) > 1e-3
    assert abs(float(value) - 3.0) < 1e-5


def test_what_was_just_said_is_not_repeated_as_progress(capsys):
    meter = Meter()
    meter._next = 0.0  # a line is due
    meter.say("first look: limit about 3")
    meter(1, 9, None, "first look: limit about 3")
    assert capsys.readouterr().err == "first look: limit about 3\n"


def test_a_narrow_terminal_gets_every_number_whole(monkeypatch):
    rows = [[f"stage{i}", *(f"{1000 * i + j}.25" for j in range(12))] for i in range(3)]
    head = ["stage", *(f"number {j}" for j in range(12))]
    table = _tables.TextTable("many numbers", "What they mean.", head, rows).drawn()
    for width in (40, 80, 200):
        out = io.StringIO()
        monkeypatch.setattr(
            _tables, "Console",
            lambda width, own=width, out=out, **_: Console(
                width=width or own, file=out, force_terminal=True, color_system=None
            ),
        )  # fmt: skip
        _tables.show(table)
        text = out.getvalue()
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= width
        for row in rows:
            for cell in row[1:]:
                assert text.split().count(cell) == 1
        assert text.count("stage0") == (1 if width == 200 else text.count("stage1"))
        assert text.count("many numbers") == text.count("What they mean.") == 1


def test_a_cell_wider_than_the_terminal_goes_on_below(monkeypatch):
    long = "".join(f"{i:04}" for i in range(40))
    table = _tables.TextTable("t", "", ["a", "b"], [["name", long]]).drawn()
    out = io.StringIO()
    monkeypatch.setattr(
        _tables, "Console",
        lambda width, **_: Console(
            width=width or 50, file=out, force_terminal=True, color_system=None
        ),
    )  # fmt: skip
    _tables.show(table)
    assert long in "".join(out.getvalue().split()).replace("name", "")


def test_what_rounds_to_zero_has_no_sign():
    line = [SimpleNamespace(overlap=1.0, error=0.5, share=np.linspace(-1, 2, 31))]
    line[0].least = np.full(31, -1e-9)
    shown = _plateau_tables._line(SimpleNamespace(line=line))
    assert set(shown.rows[0][2:]) == {"0.000"}
    assert brief(-0.0) == "0"
    assert _tables.number(Estimate(-1e-4, 0.11, 4)) == "0.00 ± 0.11"


def test_no_fixed_format_of_a_table_can_show_a_signed_zero():
    files = [f for room in ("cli", "results") for f in (SOURCE / room).rglob("*.py")]
    assert len(files) > 50
    fixed = re.compile(r":[+ ]?,?\.(\d|\{[^{}]*\})f\}")
    assert fixed.search("{x:+.3f}")
    assert not [f.name for f in files if fixed.search(f.read_text("utf-8"))]
