"""Equal and nearly equal values: nothing that claims to have converged is wrong."""

import pytest

from multiplicities import CASES, Case, ask, reference, spread, tail

SMALL = [case for case in CASES if not case.large]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_converged_is_right_to_the_stated_error(case):
    a = case.make()
    true = reference(case, a)
    for seed in range(2):
        answer = ask(case, a, true, seed)
        assert not answer.wrong, answer


def test_a_missed_copy_would_be_seen():
    case = Case("two at the top", lambda: spread(tail(1, 120, 0.98)), 3)
    a = case.make()
    true = reference(case, a)
    assert not ask(case, a, true, 0).wrong
    true[1] = true[0]
    assert ask(case, a, true, 0).wrong
