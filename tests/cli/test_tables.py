"""What tables say beside their numbers."""

from dataclasses import replace

from nakami.cli import _tables
from nakami.results import compare
from spectra_made_by_hand import xray


def test_captions_say_how_many_inputs_were_read():
    whole = xray([[9.0], [2.0], [5.0], [7.0]])
    part = replace(whole, spectra=whole.spectra[:3])
    assert _tables.xray_table(whole).caption.startswith("Mean ± sd over 4 inputs;")
    assert _tables.xray_table(part).caption.startswith("Mean ± sd over 3 of 4 inputs;")
    paired = _tables.comparison_table(compare(whole, part)).caption
    assert paired.startswith("Paired over 3 of 4 inputs;")
    one = xray([[9.0]])
    assert _tables.xray_table(one).caption.startswith("Mean ± sd over 1 input;")


def test_stages_read_at_different_numbers_of_inputs():
    assert _tables._inputs([2, 5, 5], 16) == "2 to 5 of 16 inputs"
    assert _tables._inputs([16, 16], 16) == "16 inputs"
    assert _tables._inputs([], 1) == "0 of 1 input"
