"""What sampling refuses: in one sentence, where a traceback came before."""

import pytest
import torch

from nakami import sampling
from nakami.results import UsageError
from nakami.training import ContrastiveDivergence
from nakami.zoo.rbm import RBM

WEIGHT = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
MACHINE = sampling.Machine(WEIGHT, torch.zeros(4), torch.zeros(3))
DATA = torch.ones(2, 4)
GIBBS = sampling.BlockGibbs()
MATRIX = sampling.transition_matrix(MACHINE, GIBBS)
LAW = sampling.stationary(MACHINE)


def trained():
    return ContrastiveDivergence(RBM(4, 3))


KERNEL = "kernel must be a Kernel, got {}; pass sampling.BlockGibbs()"
SAMPLER = "sampler must be a Sampler, got {}; pass sampling.FromData"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: sampling.Chains(MACHINE, "gibbs"), KERNEL.format("str")),
        (lambda: sampling.Chains(MACHINE, sampling.BlockGibbs), "got the class BlockGibbs; pass"),
        (lambda: sampling.ParallelTempering(MACHINE, kernel="gibbs"), KERNEL.format("str")),
        (lambda: sampling.FromData(kernel=3), KERNEL.format("int")),
        (lambda: sampling.Persistent(kernel=3), KERNEL.format("int")),
        (lambda: sampling.Tempered(kernel=3), KERNEL.format("int")),
        (lambda: sampling.transition_matrix(MACHINE, "gibbs"), KERNEL.format("str")),
        (lambda: sampling.Chains(MACHINE, generator=1), "generator must be a torch.Generator, got"),
        (lambda: ContrastiveDivergence(RBM(4, 3), sampler=GIBBS), SAMPLER.format("BlockGibbs")),
        (lambda: ContrastiveDivergence(RBM(4, 3), sampler="persistent"), SAMPLER.format("str")),
        (
            lambda: ContrastiveDivergence(RBM(4, 3), sampler=sampling.Persistent),
            SAMPLER.format("Persistent"),
        ),
        (
            lambda: trained().start(DATA, torch.Generator()),
            "data must be a tuple of one tensor, got Tensor; pass (data,).",
        ),
        (lambda: trained().step(DATA), "batch must be a tuple of one tensor, got Tensor"),
        (
            lambda: trained().step((DATA, DATA)),
            "batch must be a tuple of one tensor, got 2 entries",
        ),
        (lambda: sampling.divergence_bias(MACHINE, GIBBS, DATA), KERNEL.format("Tensor")),
        (lambda: sampling.divergence_bias(MACHINE, GIBBS), "data must have shape (N, 4)"),
        (
            lambda: sampling.exact_autocorrelation_time(MACHINE, GIBBS, LAW),
            "matrix must be a tensor, got Machine",
        ),
        (
            lambda: sampling.exact_autocorrelation_time(MATRIX, LAW, lambda v: v),
            "statistic must be a tensor, got function",
        ),
        (
            lambda: sampling.exact_autocorrelation_time(MATRIX, LAW[:3], LAW),
            "matrix must be (S, S)",
        ),
        (lambda: sampling.exact_autocorrelation_time(MATRIX, LAW, LAW[:3]), "statistic must have"),
        (
            lambda: sampling.Chains(MACHINE, sampling.Lifted(signs=torch.ones(3))).sweep(),
            "signs must have one entry for each visible unit, (4,), got (3,)",
        ),
        (
            lambda: sampling.annealed_importance_sampling(MACHINE, samples=DATA * 0.5),
            "samples must be zeros and ones",
        ),
    ],
)
def test_refused_in_one_sentence(call, text):
    with pytest.raises(UsageError) as error:
        call()
    assert text in str(error.value)
