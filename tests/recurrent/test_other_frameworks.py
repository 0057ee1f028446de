"""Which block of a GRU's recurrent kernel is the candidate's: Keras and Flax, where installed."""

import os

import numpy as np
import pytest

from nakami.recurrent import project_kernel

H, INPUTS = 5, 3


def kernel(columns=3 * H):
    return np.random.default_rng(0).normal(size=(H, columns)).astype(np.float32)


def jacobian(step):
    """Of a state's step at 0, by central differences; rows the next state's."""
    eye = np.eye(H, dtype=np.float32) * 1e-2
    return np.stack([(step(e) - step(-e)) / 2e-2 for e in eye], axis=1)


def keras_step(weights):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    cell = keras.layers.GRUCell(H, use_bias=False)
    cell.build((1, INPUTS))
    cell.recurrent_kernel.assign(weights)
    x = np.zeros((1, INPUTS), np.float32)
    to_numpy = keras.ops.convert_to_numpy
    return lambda h: to_numpy(cell(x, [keras.ops.convert_to_tensor(h[None])])[0])[0]


def nnx_step(weights):
    nnx, jnp = pytest.importorskip("flax.nnx"), pytest.importorskip("jax.numpy")
    cell = nnx.GRUCell(INPUTS, H, rngs=nnx.Rngs(0))
    cell.dense_h.kernel[...] = jnp.asarray(weights)
    return lambda h: np.asarray(cell(jnp.asarray(h[None]), jnp.zeros((1, INPUTS)))[0][0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about NumPy 2
@pytest.mark.parametrize("make", [keras_step, nnx_step])
def test_the_candidate_is_what_is_projected(make):
    weights = kernel()
    at_rest = jacobian(make(weights))
    np.testing.assert_allclose(at_rest, np.eye(H) / 2 + weights[:, 2 * H :].T / 4, atol=2e-3)
    held = project_kernel(weights, 1.2)
    assert np.linalg.norm(held[:, 2 * H :], 2) == pytest.approx(0.8, abs=1e-5)
    norm = np.linalg.norm(jacobian(make(held)) - np.eye(H) / 2, 2)
    assert norm == pytest.approx(0.2, abs=2e-3)
    np.testing.assert_array_equal(held[:, : 2 * H], weights[:, : 2 * H])


def test_the_candidate_of_flax_linen_is_a_matrix_of_its_own():
    linen, jax = pytest.importorskip("flax.linen"), pytest.importorskip("jax")
    cell, zeros = linen.GRUCell(H), jax.numpy.zeros
    start = cell.init(jax.random.key(0), zeros((1, H)), zeros((1, INPUTS)))
    weights = project_kernel(kernel(H), 1.2)
    start["params"]["hn"]["kernel"] = jax.numpy.asarray(weights)
    step = lambda h: np.asarray(cell.apply(start, h[None], zeros((1, INPUTS)))[0][0])  # noqa: E731
    gates = jacobian(step)
    np.testing.assert_allclose(gates, np.eye(H) / 2 + weights.T / 4, atol=2e-3)
