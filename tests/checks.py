"""The shared gauntlets: every member of a family runs the same checks."""

import importlib.util
import json
import warnings
from itertools import product
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from nakami.results import NakamiWarning, UsageError


def spread(*axes, every=2):
    """Combinations for ``parametrize``: each ``every``-th is quick, the others are slow.

    Every value of every axis is in a quick one.
    """
    places = list(product(*(range(len(axis)) for axis in axes)))
    quick = [at for at in places if sum(at) % every == 0]
    assert all(
        len(set(held)) == len(axis)
        for held, axis in zip(zip(*quick, strict=True), axes, strict=True)
    )
    return [
        pytest.param(*values, marks=[] if at in quick else [pytest.mark.slow])
        for at, values in zip(places, product(*axes), strict=True)
    ]


def seen(build):
    """What ``build`` warns of, or why it is refused."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            build()
        except UsageError as error:
            return [str(error)]
    return [str(w.message) for w in caught if issubclass(w.category, NakamiWarning)]


def check_operator(op, dense, rtol=1e-10, atol=1e-12):
    """Products of an operator, both ways, singly and in blocks, against its dense matrix."""
    gen = torch.Generator().manual_seed(0)
    m, n = op.shape
    v, u = (torch.randn(k, 3, generator=gen, dtype=torch.float64).to(dense) for k in (n, m))
    assert (m, n) == tuple(dense.shape)
    assert_close(op @ v, dense @ v, rtol=rtol, atol=atol)
    assert_close(op.T @ u, dense.T @ u, rtol=rtol, atol=atol)
    assert_close(op @ v[:, 0], dense @ v[:, 0], rtol=rtol, atol=atol)
    assert_close(op.dense(), dense, rtol=rtol, atol=atol)
    assert_close(op.T.dense(), dense.T, rtol=rtol, atol=atol)
    assert_close(torch.as_tensor(op.to_scipy() @ v.numpy()), dense @ v, rtol=rtol, atol=atol)
    assert (op @ v[:, :0]).shape == (m, 0)
    assert op.T.T is op
    with pytest.raises(
        ValueError, match=rf"must have shape \({n},\) or \({n}, k\), got \({n + 1},\)"
    ):
        op @ torch.zeros(n + 1)


def parameter_reference(net, x, names=None):
    """The Jacobian of a network's output by its parameters, row by row."""
    net.eval()
    weights = dict(net.named_parameters())
    picked = [weights[n] for n in names or weights]
    rows = []
    for out in net(x).reshape(-1):
        grads = torch.autograd.grad(
            out, picked, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([g.reshape(-1) for g in grads]))
    return torch.stack(rows)


def check_triplets(result, dense, atol):
    """Properties that any SVD has, whatever the method."""
    a = dense.double()
    s, u, v = result.values, result.left.double(), result.right.double()
    eye = torch.eye(len(s), dtype=torch.float64)
    true = torch.maximum((a @ v - u * s).norm(dim=0), (a.T @ u - v * s).norm(dim=0))
    assert (s[:-1] >= s[1:] - atol).all()
    assert (s >= 0).all()
    assert_close(u.T @ u, eye, rtol=0, atol=2e-6)
    assert_close(v.T @ v, eye, rtol=0, atol=2e-6)
    assert_close(result.residuals, true, rtol=1e-3, atol=atol)  # the residuals say the truth


def bytes_of_run(folder):
    """Every byte of an x-ray's folder that is not a clock reading, by file."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "timing.json"]
    found = {str(p.relative_to(folder)): p.read_bytes() for p in files}
    body = json.loads(found.pop("run.json"))
    body.pop("created")
    return {**found, "run.json": body}


class Killed(BaseException):
    """Ends a run from its progress callback, as a signal would."""


def neighbour(folder, name):
    """A test file of a folder of the tests as a module."""
    place = Path(__file__).parent / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
