"""What the random start vectors of a Krylov run tell of all values, at no product."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nakami.spectra import remainder, svd
from nakami.spectra._operator import as_operator
from nakami.spectra._step_bounds import lanczos
from nakami.spectra.krylov._gram_lanczos import GramLanczos
from nakami.spectra.krylov._plan import make_plan

N, K = 400, 30
AT = np.arange(1, N + 1)
# Far above 1 where the run ends, so that few probes see little.
VALUES = 3000 * np.exp(-((AT / 80) ** 2))


def matrix(values, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(N, N, generator=generator, dtype=torch.float64) for _ in range(2)]
    u, v = (torch.linalg.qr(each)[0] for each in draw)
    return (u * torch.as_tensor(values)) @ v.T, v


def test_runs_are_those_of_each_start_vector_alone():
    values = 2 - AT / N
    a, v = matrix(values)
    plan = make_plan(as_operator(a), K, 1e-4, 1 << 30, None, "one")
    run = GramLanczos(as_operator(a), plan, torch.Generator().manual_seed(1))
    starts = run.starts.clone()
    for _ in range(9):
        run.expand()
    run._keep_starts()
    for start, (alpha, beta) in zip(starts, run.start_runs, strict=True):
        masses = (start @ v).square().numpy()  # on the eigenvalues, known by construction
        diagonal, off = lanczos(values**2, masses)
        np.testing.assert_allclose(alpha, diagonal[:9], rtol=1e-9)
        np.testing.assert_allclose(beta, off[:9], rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_intervals_hold_the_truth_and_are_no_wider_than_those_of_probes(dtype):
    op = matrix(VALUES)[0].to(dtype)
    count = int((VALUES > 1).sum()) - K
    held, widths = [], []
    for seed in range(25):
        found = svd(op, K, method="krylov", seed=seed)
        rest = remainder(op, found, seed=seed + 1000)
        probed = remainder(op, replace(found, moments=None), seed=seed + 1000)
        assert (rest.n_products, rest.n_deep) == (16, 2)
        assert probed.n_products > 100
        sums = probed.squares, probed.fourths
        assert (rest.squares, rest.fourths) == pytest.approx(sums, rel=1e-4)
        low, high = rest.above
        widths.append((high - low) / (probed.above[1] - probed.above[0]))
        held.append(rest.above_interval[0] <= count <= rest.above_interval[1])
    assert np.mean(held) >= 0.85
    assert np.mean(widths) <= 1
    # It can fail: of twice as many values above 1 the same moments would not speak.
    assert not rest.above_interval[0] <= 0.1 * count


def test_probes_go_on_where_they_would_come_closer():
    values = 3 * np.exp(-AT / 200)
    values[:25] = np.geomspace(500, 20, 25)  # apart, so that they cost the start vectors steps
    op = matrix(values)[0]
    found = svd(op, K, method="krylov")
    assert found.moments is not None
    rest = remainder(op, found)
    assert rest.n_products > 16


def test_known_shares_and_the_unit_of_squares():
    a = matrix(VALUES)[0]
    found, far = (svd(a * size, K, method="krylov") for size in (1.0, 2.0**100))
    np.testing.assert_allclose(far.moments.known, found.moments.known, rtol=1e-6)
    for (one, _), (other, _) in zip(found.moments.runs, far.moments.runs, strict=True):
        unit = 4.0 ** (far.moments.power - found.moments.power - 100)
        np.testing.assert_allclose(other * unit, one, rtol=1e-6)
    assert all(0 < share < 0.2 for share in found.moments.known)


def test_only_random_starts_are_kept():
    a, v = matrix(VALUES)
    assert svd(a, K, method="dense").moments is None
    assert svd(a, K, method="krylov", start=v[:, :3]).moments is None
    assert svd(a, K, method="krylov", vectors=False).moments is None


def test_a_run_of_few_dimensions_ends():
    values = np.where(AT <= 40, 5.0 - AT / 20, 0)
    op = matrix(values)[0]
    found = svd(op, 20, method="krylov")
    for alpha, beta in found.moments.runs:
        assert len(alpha) <= 41 + 1
        assert (beta[:-1] > 0).all()
    rest = remainder(op, found)
    assert 20 + rest.above_interval[0] - 3 <= (values > 1).sum() <= 20 + rest.above_interval[1] + 3
