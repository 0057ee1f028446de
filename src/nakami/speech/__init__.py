"""Recognition of words: cepstra, hidden Markov models, mixtures, networks in their place.

``cepstra`` makes frames of ``data.Recordings``; ``Lexicon`` and ``grammar`` say which states a word
has; ``StateMixtures`` or a network of windows says how likely each state is; ``align`` and
``decode`` find paths. Needs the extra ``speech`` for features and word errors alone.
"""

from typing import TYPE_CHECKING

from ..results import lazy

if TYPE_CHECKING:
    from ._features import cepstra as cepstra
    from ._features import has_features as has_features
    from ._features import normalised as normalised
    from ._features import padded as padded
    from ._features import windows as windows
    from ._gmm_hmm import GMMHMM as GMMHMM
    from ._gmm_hmm import flat_start as flat_start
    from ._gmm_hmm import realigned as realigned
    from ._grammar import Lexicon as Lexicon
    from ._grammar import grammar as grammar
    from ._hidden_markov import HMM as HMM
    from ._hidden_markov import viterbi as viterbi
    from ._hidden_markov import words_of as words_of
    from ._mixtures import StateMixtures as StateMixtures
    from ._recognition import WordErrors as WordErrors
    from ._recognition import align as align
    from ._recognition import decode as decode
    from ._recognition import log_priors as log_priors
    from ._recognition import network_scores as network_scores
    from ._recognition import scaled as scaled
    from ._recognition import stay_probabilities as stay_probabilities
    from ._recognition import tied as tied
    from ._recognition import word_errors as word_errors

__getattr__, __dir__, __all__ = lazy(__name__)
