"""Arguments that several functions of the engine share are refused by one sentence, each alike."""

import numpy as np
import pytest
import torch

import nakami
from nakami.results import RunError, UsageError
from nakami.spectra import LinearOperator, MatrixOperator

A = torch.diag(torch.linspace(1, 2, 40))
FUNCTIONS = {
    "svd": lambda a=A, **more: nakami.svd(a, 3, **more),
    "eigh": lambda a=A, **more: nakami.eigh(a, 3, **more),
    "norm": lambda a=A, **more: nakami.norm(a, **more),
    "trace": lambda a=A, **more: nakami.trace(a, **more),
    "density": lambda a=A, **more: nakami.density(a, **more),
}
WHOLE = r"must be a whole number of bytes, at least 1, got"


@pytest.fixture(params=FUNCTIONS)
def function(request):
    return FUNCTIONS[request.param]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory_budget": 0}, rf"memory_budget {WHOLE} 0; write 2\*\*30 for 1 GiB\."),
        ({"memory_budget": -5}, rf"memory_budget {WHOLE} -5"),
        ({"memory_budget": 2.5}, rf"memory_budget {WHOLE} 2.5"),
        ({"memory_budget": "1G"}, rf"memory_budget {WHOLE} '1G'"),
        ({"memory_budget": True}, rf"memory_budget {WHOLE} True"),
        ({"seed": "a"}, r"seed must be a whole number from 0 to 2\^64 - 1, got 'a'; 0 is the"),
        ({"seed": 2**70}, r"seed must be a whole number from 0 to 2\^64 - 1, got 11805"),
        ({"seed": -1}, r"seed must be a whole number from 0 to 2\^64 - 1, got -1"),
        ({"seed": 0.5}, r"seed must be a whole number from 0 to 2\^64 - 1, got 0.5"),
    ],
)
def test_budgets_and_seeds(function, arguments, message):
    with pytest.raises(UsageError, match=message):
        function(**arguments)


class Product(LinearOperator):
    """A matrix known by its products alone."""

    shape, dtype, device = tuple(A.shape), A.dtype, A.device

    route = "product"

    def _matmat(self, block):
        return A @ block

    _rmatmat = _matmat


def test_a_budget_that_holds_no_vector(function):
    too_small = r"memory_budget must hold .* bytes.*, got 1 bytes; (raise it|pass memory_budget)"
    with pytest.raises(UsageError, match=too_small):
        function(Product(), memory_budget=1)


def test_the_trace_of_a_matrix_at_hand_needs_no_vector():
    assert nakami.trace(A, memory_budget=1).value == pytest.approx(60.0)


def test_budgets_and_seeds_of_numpy_and_whole_floats_are_taken(function):
    function(memory_budget=2e9, seed=np.int64(3))
    function(memory_budget=np.int64(1 << 20))


@pytest.mark.parametrize("value", ["a", None, float("nan"), [1e-4], 1, 0])
def test_tolerances(value):
    for name in ("svd", "eigh", "norm"):
        with pytest.raises(UsageError, match=r"tol must lie between 0 and 1, got .*; use 1e-4"):
            FUNCTIONS[name](tol=value)
    with pytest.raises(UsageError, match=r"rtol must lie between 0 and 1, got .*; use 0.01"):
        nakami.trace(A, value)
    assert nakami.svd(A, 1, tol=np.float32(1e-3)).converged


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (A.to_sparse(), r"matrix must be dense, got sparse_coo; convert it with .to_dense\(\)"),
        (
            A.to("meta"),
            r"matrix must hold numbers, got a tensor on the meta device; pass a tensor that holds",
        ),
        (A.to(torch.float8_e4m3fn), r"matrix must have 16 bits or more, got torch.float8"),
        (A.to(torch.complex64), r"matrix must be real, floating .* got torch.complex64"),
        (A.numpy(), r"op must be .* got ndarray; make a matrix with torch.as_tensor, or an op"),
    ],
)
def test_matrices_of_another_kind(function, matrix, message):
    with pytest.raises(UsageError, match=message):
        function(matrix)


def test_nan_off_the_diagonal(function):
    a = A.clone()
    a[0, 1] = a[1, 0] = torch.nan
    with pytest.raises(RunError, match=r"not finite .* look for NaN and overflow in the matrix"):
        function(a)


def test_starts_of_integers_are_told_so():
    with pytest.raises(UsageError, match=r"start must be real and floating-point, got torch.int64"):
        nakami.svd(torch.eye(100), 2, start=torch.ones(100, 1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (torch.ones(40, 2, device="meta"), r"must hold numbers, got a tensor on the meta device"),
        (torch.eye(40).to_sparse(), r"must be dense, got sparse_coo; convert it"),
    ],
)
def test_vectors_of_another_kind(vectors, message):
    with pytest.raises(UsageError, match=f"^the right operand {message}"):
        MatrixOperator(A) @ vectors
    with pytest.raises(UsageError, match=f"^start {message}"):
        nakami.svd(A, 1, method="krylov", start=vectors)


def test_an_operator_on_the_right_says_how_it_is_meant():
    with pytest.raises(TypeError, match=r"must stand on the left of @, got Tensor @ operator; wri"):
        torch.ones(3, 40) @ MatrixOperator(A)


@pytest.mark.parametrize("points", ["abc", [[1.0]], [float("nan")], 3])
def test_points_of_a_density(points):
    with pytest.raises(UsageError, match=r"points must be a finite list of numbers, got"):
        nakami.density(A, points)


def test_a_dense_density_keeps_its_budget():
    with pytest.raises(UsageError, match=r"must hold the dense 40 x 40 matrix .* method 'lanczos'"):
        nakami.density(A, method="dense", memory_budget=1000)
