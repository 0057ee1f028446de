"""SDProp in Optax and Keras makes the steps of SDProp in torch."""

import math
import os
import sys

import numpy as np
import pytest
import torch
from torch import nn

from nakami.optim import SDProp
from nakami.results import RunError

SETTINGS = ({}, {"gamma": 0.9, "max_step": math.inf}, {"max_step": 0.5, "weight_decay": 0.3})
STEPS = 60


def gradients():
    noise = np.random.default_rng(0).normal(size=(STEPS, 5))
    noise[:, 0] = 1.0  # steady
    noise[:, 1] = 0.0
    noise[:, 2] += 1e3
    return noise


def in_torch(settings, dtype=torch.float64):
    w = nn.Parameter(torch.ones(5, dtype=dtype))
    optimizer = SDProp([w], lr=0.01, decoupled_weight_decay=True, **settings)
    for g in gradients():
        w.grad = torch.from_numpy(g).to(dtype)
        optimizer.step()
    return w.detach().numpy()


@pytest.mark.parametrize("name", ["optax", "keras"])
def test_what_is_missing_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"nakami.optim.{name}", raising=False)
    with pytest.raises(RunError, match=rf"pip install 'nakami\[{name}\]' adds it\."):
        __import__(f"nakami.optim.{name}")


class TestOptax:
    @pytest.fixture(autouse=True)
    def installed(self):
        pytest.importorskip("optax", reason="Optax is not installed")
        import jax

        with jax.enable_x64(True):
            yield

    @staticmethod
    def path(settings, rate=0.01, dtype="float64", wrap=lambda make: make):
        import jax
        import jax.numpy as jnp
        import optax

        from nakami.optim.optax import sdprop

        transform = wrap(sdprop)(rate, **settings)
        w = {"a": jnp.ones(2, dtype), "b": (jnp.ones(3, dtype),)}
        state, step = transform.init(w), jax.jit(transform.update)
        for g in gradients().astype(dtype):
            moves, state = step({"a": g[:2], "b": (g[2:],)}, state, w)
            w = optax.apply_updates(w, moves)
        return np.concatenate([w["a"], w["b"][0]])

    @pytest.mark.parametrize("settings", SETTINGS)
    def test_it_is_the_same(self, settings):
        np.testing.assert_allclose(self.path(settings), in_torch(settings), rtol=1e-11)
        single = self.path(settings, dtype="float32")
        np.testing.assert_allclose(single, in_torch(settings), rtol=2e-3)

    def test_schedules_and_injected_settings(self):
        import optax

        scheduled = self.path({}, rate=lambda count: 0.01)
        np.testing.assert_allclose(scheduled, in_torch({}), rtol=1e-11)
        injected = self.path({"gamma": 0.9}, wrap=optax.inject_hyperparams)
        np.testing.assert_allclose(injected, in_torch({"gamma": 0.9}), rtol=1e-6)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"gamma": 1}, r"gamma must lie between 0 and 1, got 1; 0\.99 is the default\."),
            ({"eps": 0}, r"eps must be a number above 0, got 0; 1e-8 is the default\."),
            ({"max_step": -1}, r"max_step must be a number above 0, got -1; leave it out for 1 /"),
            ({"weight_decay": -1}, r"weight_decay must be a number from 0 on, got -1; 0 is the d"),
        ],
    )
    def test_wrong_settings_are_named(self, settings, message):
        from nakami.optim.optax import sdprop

        with pytest.raises(ValueError, match=message):
            sdprop(0.01, **settings)


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
class TestKeras:
    @pytest.fixture(autouse=True)
    def installed(self, monkeypatch):
        if "keras" not in sys.modules:
            os.environ.setdefault("KERAS_BACKEND", "torch")
        pytest.importorskip("keras", reason="Keras is not installed")

    @pytest.mark.parametrize("settings", SETTINGS)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_it_is_the_same(self, settings, dtype):
        import keras

        from nakami.optim.keras import SDProp

        w = keras.Variable(np.ones(5), dtype=dtype)
        optimizer = SDProp(0.01, **settings)
        for g in gradients().astype(dtype):
            optimizer.apply([keras.ops.convert_to_tensor(g)], [w])
        wanted = in_torch(settings)
        found = keras.ops.convert_to_numpy(w)
        rtol = 2e-3 if dtype == "float32" else 5e-6  # Keras holds rates in float32
        np.testing.assert_allclose(found, wanted, rtol=rtol)

    def test_it_is_made_again_from_its_settings_and_trains_a_model(self):
        import keras

        from nakami.optim.keras import SDProp

        optimizer = SDProp(0.02, gamma=0.9, epsilon=1e-6, max_step=3.0, weight_decay=0.1)
        again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
        assert type(again) is SDProp
        assert again.get_config() == optimizer.get_config()
        x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(optimizer=SDProp(0.02), loss="mse")
        history = model.fit(x, x.sum(1), epochs=12, batch_size=8, verbose=0).history["loss"]
        assert history[-1] < 0.2 * history[0]

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"gamma": 0}, r"gamma must lie between 0 and 1, got 0; 0\.99 is the default\."),
            ({"epsilon": 0}, r"epsilon must be a number above 0, got 0; 1e-8 is the default\."),
        ],
    )
    def test_wrong_settings_are_named(self, settings, message):
        from nakami.optim.keras import SDProp

        with pytest.raises(ValueError, match=message):
            SDProp(0.01, **settings)
