"""Networks drawn from a grammar, with forms of data, losses and readings: right, or refused."""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from gauntlet import BATCHES, LOSSES, Case, fits
from gauntlet.grammar import ANYWHERE, ENDS, INPUTS, OF_STEPS, Spec
from gauntlet.readings import OF_INPUTS, OF_LOSSES

ONE_INPUT = ("a pair", "inputs in a dict", "an object")


@st.composite
def specs(draw, inputs=INPUTS):
    kind = draw(st.sampled_from(inputs))
    names = [*ANYWHERE] if kind == "vectors" else [*ANYWHERE, *OF_STEPS]
    block = st.tuples(st.sampled_from(names), st.booleans())
    blocks = draw(st.lists(block, min_size=1, max_size=3))
    end = draw(st.sampled_from(ENDS))
    return Spec(kind, tuple(blocks), end, draw(st.booleans()), draw(st.booleans()))


@st.composite
def with_a_loss(draw):
    """A network with a form of data and a loss that fit it, and two readings."""
    spec = draw(specs())
    kind, any_loss = spec.kind, LOSSES["squared error"]
    forms = [name for name, batch in BATCHES.items() if fits(kind, batch, any_loss)]
    form = draw(st.sampled_from(forms))
    loss = draw(st.sampled_from([name for name in LOSSES if kind.outputs in LOSSES[name].forms]))
    readings = st.lists(st.sampled_from([*OF_LOSSES]), min_size=2, max_size=2, unique=True)
    return spec, form, loss, draw(readings)


@st.composite
def with_an_input(draw):
    spec = draw(specs(("vectors", "sequences", "tokens")))
    readings = [draw(st.sampled_from([*OF_INPUTS]))]
    return spec, draw(st.sampled_from(ONE_INPUT)), "squared error", readings


def right(spec, form, loss, readings):
    case = Case(spec.kind, BATCHES[form], LOSSES[loss])
    for reading in readings:
        case.check(reading)


def check(strategy, start, count=8):
    """So many draws; those of one start are always the same."""

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # they are small, and are not made smaller
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(strategy)
    def each(drawn):
        right(*drawn)

    each()


def starts(count):
    """The first in every run."""
    return [pytest.param(i, marks=[pytest.mark.slow] if i else []) for i in range(count)]


@pytest.mark.parametrize("start", starts(40))
def test_a_drawn_network_with_a_loss(start):
    check(with_a_loss(), start)


@pytest.mark.parametrize("start", starts(25))
def test_a_drawn_network_at_an_input(start):
    check(with_an_input(), start)
