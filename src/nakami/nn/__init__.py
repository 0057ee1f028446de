"""Layers that torch lacks: plain modules for any model, read by nakami as torch's own are."""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ._adaptive_dropout import AdaptiveDropout as AdaptiveDropout
    from ._contrast import LocalContrastNorm2d as LocalContrastNorm2d
    from ._convolutional import convolutional as convolutional
    from ._drop_connect import DropConnect as DropConnect
    from ._factored_softmax import FactoredSoftmax as FactoredSoftmax
    from ._fft_convolution import FFTConv2d as FFTConv2d
    from ._locally_connected import LocallyConnected2d as LocallyConnected2d
    from ._max_norm import MaxNorm as MaxNorm
    from ._max_norm import max_norm as max_norm
    from ._maxout import Maxout as Maxout
    from ._measured_convolutions import measure_convolutions as measure_convolutions
    from ._pooling import GaussianPool2d as GaussianPool2d
    from ._pooling import L2Pool2d as L2Pool2d

__getattr__, __dir__, __all__ = lazy(__name__)
