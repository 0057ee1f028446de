"""Models as bytes for another process, also those that torch refuses to pickle."""

from __future__ import annotations

import copyreg
import io
import pickle
from typing import Any

import cloudpickle
from torch import nn
from torch.nn.utils.parametrize import is_parametrized


class _Pickler(cloudpickle.Pickler):
    """Takes parametrised modules (weight norm, spectral norm) with the class made for each.

    Torch refuses them because a file would need that class; here it goes along.
    """

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, nn.Module) and is_parametrized(obj):
            return copyreg.__newobj__, (type(obj),), obj.__dict__  # type: ignore[attr-defined]
        return super().reducer_override(obj)


def pickled(what: Any) -> bytes:
    """As cloudpickle does it, which takes functions and classes of a script along."""
    file = io.BytesIO()
    _Pickler(file, pickle.HIGHEST_PROTOCOL).dump(what)
    return file.getvalue()
