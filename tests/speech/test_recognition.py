"""Mixtures beside scipy and beside the frames they were drawn from; networks in their place."""

import pytest
import torch
from scipy import stats
from torch import nn

from nakami import data, speech
from nakami.results import UsageError
from nakami.speech import HMM, StateMixtures, viterbi
from nakami.training import Supervised, fit

DOUBLE = torch.float64


def drawn(n, seed):
    """Two states of two Gaussians each, and one without frames."""
    g = torch.Generator().manual_seed(seed)
    states = torch.randint(2, (n,), generator=g)
    centres = torch.tensor([[[0.0, 0.0], [4.0, 1.0]], [[-4.0, 2.0], [1.0, -5.0]]], dtype=DOUBLE)
    which = (torch.rand(n, generator=g) < 0.3).long()
    return centres[states, which] + torch.randn(n, 2, generator=g, dtype=DOUBLE), states, centres


def test_mixtures_find_the_gaussians_that_frames_were_drawn_from():
    x, states, centres = drawn(4000, 0)
    found = StateMixtures.fit(x, states, 3, mixed=2, rounds=30)
    for s in range(2):
        order = found.log_weights[s].argsort(descending=True)  # 0.7 and 0.3
        assert found.means[s, order] == pytest.approx(centres[s], abs=0.2)
        assert found.log_weights[s, order].exp().tolist() == pytest.approx([0.7, 0.3], abs=0.05)
        assert found.variances[s] == pytest.approx(torch.ones(2, 2).double(), abs=0.2)
    assert found.means[2] == pytest.approx(x.mean(0).expand(2, 2), abs=1.5)  # of all frames


def test_likelihoods_are_those_of_scipy():
    x, states, _ = drawn(300, 1)
    found = StateMixtures.fit(x, states, 2, mixed=4)
    for s in range(2):
        density = sum(
            w.exp().item() * stats.multivariate_normal(m.numpy(), v.diag().numpy()).pdf(x.numpy())
            for w, m, v in zip(
                found.log_weights[s], found.means[s], found.variances[s], strict=True
            )
        )
        assert found(x)[:, s].exp().numpy() == pytest.approx(density, rel=1e-9)


def test_variances_have_a_floor_and_a_state_without_frames_is_as_wide_as_all():
    x, states, _ = drawn(400, 3)
    x[states == 1] = x[states == 1][:1]  # all frames of a state alike
    states[:20], whole = -1, x.var(0, correction=0)
    found = StateMixtures.fit(x, states, 4, mixed=4, floor=0.05)
    assert torch.allclose(found.variances[1], (0.05 * whole).expand(4, 2))
    assert (found.variances >= 0.05 * whole).all()
    for empty in (2, 3):
        assert torch.equal(found.variances[empty], whole.expand(4, 2))
    assert found(x).isfinite().all()


def test_realignment_leaves_recordings_that_are_too_short_out():
    lexicon = speech.Lexicon.untied(("a", "b"), 3)
    counts, labels = torch.tensor([9, 2, 8]), torch.tensor([0, 1, 0])
    scores = torch.randn(3, 9, 7, generator=torch.Generator().manual_seed(4))
    hmm = speech.grammar(lexicon, torch.full((7,), 0.5))
    states, stays = speech.realigned(scores, counts, hmm, labels, 7)
    assert (states[9:11] == -1).all()
    assert (states[:9] >= 0).all()
    assert (states[11:] >= 0).all()
    assert stays[3:6].tolist() == [0.5] * 3  # never seen
    assert speech.log_priors(states, 7).exp()[3:6].tolist() == pytest.approx([1 / 24] * 3)


def test_more_gaussians_fit_better_and_a_number_that_is_no_power_of_two_is_refused():
    x, states, _ = drawn(500, 2)
    own = torch.arange(500), states
    one, two = (StateMixtures.fit(x, states, 2, m, rounds=20)(x)[own].mean() for m in (1, 2))
    assert two > one + 0.2
    with pytest.raises(UsageError, match="mixed must be a power of two, got 3"):
        StateMixtures.fit(x, states, 2, 3)


def phones(n, seed):
    """A chain of three phones, one of them rare, with Gaussian mixtures in coloured noise.

    The sheet's toy: frames ``(N, T, 2)`` and states ``(N, T)``. Noise of a frame is 0.95 of that of
    the frame before, so what lies around a frame tells of its noise.
    """
    g = torch.Generator().manual_seed(seed)
    transition = torch.tensor([[0.93, 0.06, 0.01], [0.1, 0.89, 0.01], [0.3, 0.3, 0.4]])
    state = torch.zeros(n, dtype=torch.long)
    noise, states, frames = torch.randn(n, 2, generator=g), [], []
    centres = torch.tensor([[[0.0, 0], [2, 2]], [[2.0, 0], [0, 2]], [[1.0, 1], [1, 1]]])
    for _ in range(60):
        state = torch.multinomial(transition[state], 1, generator=g)[:, 0]
        which = torch.randint(2, (n,), generator=g)
        noise = 0.95 * noise + 0.3 * torch.randn(n, 2, generator=g)
        states.append(state)
        frames.append(centres[state, which] + noise)
    first = torch.tensor([0.93, 0.06, 0.01]).log()
    return torch.stack(frames, 1), torch.stack(states, 1), HMM.dense(first, transition.log())


def test_a_network_of_windows_beats_mixtures_and_scaled_likelihoods_beat_posteriors():
    (x, states, hmm), (y, truth, _) = phones(150, 0), phones(100, 1)
    counts, other = torch.full((150,), 60), torch.full((100,), 60)
    gmm = StateMixtures.fit(x.flatten(0, 1), states.flatten(), 3, 4)
    net = nn.Sequential(nn.Flatten(), nn.Linear(22, 32), nn.Tanh(), nn.Linear(32, 3))
    g = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for p in net.parameters():
            p.normal_(0, 0.2, generator=g)
    method = Supervised(net, torch.optim.Adam(net.parameters(), 5e-3))
    fit(method, (speech.windows(x, counts), states.flatten()), epochs=4, batch=100)
    priors = speech.log_priors(states.flatten(), 3)
    of = {
        "mixtures": gmm(y.flatten(0, 1)).reshape(100, 60, 3),
        "scaled": speech.network_scores(net, y, other, 5, priors),
        "posteriors": speech.network_scores(net, y, other, 5, None),
    }
    wrong = {name: float((viterbi(s, hmm)[0] != truth).double().mean()) for name, s in of.items()}
    assert wrong["scaled"] < wrong["mixtures"] - 0.05
    assert wrong["scaled"] < wrong["posteriors"]


def test_stay_probabilities_are_shares_of_steps():
    hmm = speech.grammar(speech.Lexicon.untied(("a",), 2, 0), torch.full((2,), 0.5))
    path = torch.tensor([[0, 0, 0, 1, -1], [0, 1, 1, 1, 1]])
    stays = speech.stay_probabilities(path, hmm, 2)
    assert stays.tolist() == pytest.approx([3 / 6, 4 / 5])  # 2 of 4 and 3 of 3, and one more each


def test_word_errors_are_the_least_changes():
    pytest.importorskip("jiwer", reason="word errors come with the extra speech")
    truth = [["one", "two"], ["three"], ["good bye"]]
    heard = [["one", "four", "two"], [], ["good bye"]]
    found = speech.word_errors(truth, heard)
    assert found.errors == (1, 1, 0)
    assert found.words == (2, 1, 1)
    assert found.rate == 0.5


def test_words_of_a_made_speaker_are_recognised():
    pytest.importorskip("kaldi_native_fbank", reason="features come with the extra speech")
    recordings = data.spoken_words(200, 4, seed=5)
    assert torch.equal(recordings.audio, data.spoken_words(200, 4, seed=5).audio)
    x, counts = speech.cepstra(recordings)
    lexicon = speech.Lexicon.untied(recordings.classes, 4)
    known = torch.tensor([s != "speaker 5.3" for s in recordings.speakers])
    states = speech.flat_start(counts[known], recordings.labels[known], lexicon)
    found = speech.GMMHMM.fit(x[known], counts[known], recordings.labels[known], lexicon, states)
    heard = speech.decode(found.scores(x[~known], counts[~known]), counts[~known], found.hmm)
    right = [h == [w] for h, w in zip(heard, recordings.labels[~known].tolist(), strict=True)]
    assert sum(right) >= 40  # of 50
