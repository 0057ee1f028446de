"""Where networks are trained: a method says what a step is, Lightning's Trainer runs the steps.

``fit`` trains in memory. ``Training`` keeps every phase in a folder and goes on after a kill, to
the same bits. Methods: ``Supervised``, ``ContrastiveDivergence``, ``Autoencoding``, ``Walkback``,
``Mimic``, ``ImportanceEM``, ``DiscriminativeCoding``, ``Unsupervised``, ``TruncatedBPTT``,
``Culture``, or a ``Method`` of the caller's. Needs the extra ``train`` as soon as a step is to be
made; what is finished is read back without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nakami.results import lazy

if TYPE_CHECKING:
    from ._augmentation import Augmented as Augmented
    from ._augmentation import ColourShift as ColourShift
    from ._augmentation import RandomCrop as RandomCrop
    from ._augmentation import RandomFlip as RandomFlip
    from ._autoencoding import Autoencoding as Autoencoding
    from ._contrastive import ContrastiveDivergence as ContrastiveDivergence
    from ._corruption import Corruption as Corruption
    from ._corruption import Gaussian as Gaussian
    from ._corruption import Masking as Masking
    from ._corruption import SaltAndPepper as SaltAndPepper
    from ._culture import Culture as Culture
    from ._curriculum import Curriculum as Curriculum
    from ._discriminative import DiscriminativeCoding as DiscriminativeCoding
    from ._falling import Falling as Falling
    from ._falling import Plateaus as Plateaus
    from ._falling import Scheduled as Scheduled
    from ._fit import fit as fit
    from ._fit import require as require
    from ._held import Held as Held
    from ._importance_em import ImportanceEM as ImportanceEM
    from ._mean_field import MeanFieldLearning as MeanFieldLearning
    from ._method import Descend as Descend
    from ._method import Method as Method
    from ._method import Supervised as Supervised
    from ._method import Unsupervised as Unsupervised
    from ._mimic import Mimic as Mimic
    from ._negative_sampling import NegativeSampling as NegativeSampling
    from ._random import one_thread as one_thread
    from ._rank import HingeRank as HingeRank
    from ._rank import hits as hits
    from ._sharding import sharded as sharded
    from ._spark import on_spark as on_spark
    from ._split_sheet import SplitSheet as SplitSheet
    from ._together import ranks as ranks
    from ._together import shared_folder as shared_folder
    from ._together import together as together
    from ._top_down import TopDown as TopDown
    from ._training import KIND as KIND
    from ._training import Training as Training
    from ._training import on_accelerator as on_accelerator
    from ._truncated import TruncatedBPTT as TruncatedBPTT
    from ._up_down import UpDown as UpDown
    from ._walkback import Walkback as Walkback

__getattr__, __dir__, __all__ = lazy(__name__)
