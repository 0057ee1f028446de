"""Learning logits against distillation at a high temperature, least squares, and formulas."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.training import Mimic, fit


def standard_logits(classes=5):
    """Each shift of one vector: mean 0 over classes, mean 0 and deviation 1 over examples."""
    v = torch.randn(classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = (v - v.mean()) / v.std(correction=0)
    return torch.stack([v.roll(i) for i in range(classes)])


class Centred(nn.Module):
    """A linear student whose logits have mean 0 over the classes."""

    def __init__(self):
        super().__init__()
        weight = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
        self.weight = nn.Parameter(weight.double())

    def forward(self, x):
        z = x @ self.weight.T
        return z - z.mean(1, keepdim=True)


def learner(student, logits):
    return Mimic(student, torch.optim.SGD(student.parameters(), 0.1), logits)


def gradient(loss, student):
    return torch.autograd.grad(loss, student.weight)[0]


def test_it_is_distillation_at_a_temperature_that_goes_to_infinity():
    """Hinton, Vinyals & Dean 2015, section 2.1: ``(z_s - z_t) / C``, after ``T^2``."""
    logits, student = standard_logits(), Centred()
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mimicked = gradient(learner(student, logits).loss(student(x), logits), student) / 5
    gaps = []
    for t in (10.0, 1e4):
        soft = -((logits / t).softmax(1) * (student(x) / t).log_softmax(1)).sum(1).mean()
        gaps.append(float((gradient(t**2 * soft, student) - mimicked).norm() / mimicked.norm()))
    assert gaps[1] < 1e-3 < 1e-2 < gaps[0]


def test_a_linear_student_becomes_the_least_squares_of_the_logits():
    gen = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=gen)
    logits = torch.randn(200, 4, generator=gen) * torch.tensor([1.0, 5, 0.2, 3]) + 7
    with torch.random.fork_rng():
        student = nn.Linear(3, 4)
    learn = learner(student, logits)
    fit(learn, (x, logits), epochs=200, batch=200)
    learn.fold(student)
    wide = torch.cat([x, torch.ones(200, 1)], 1)
    wanted = wide @ torch.linalg.lstsq(wide, logits).solution
    assert_close(student(x).detach(), wanted, rtol=1e-3, atol=1e-3)


def test_the_loss_is_the_formula():
    logits = torch.tensor([[1.0, 10], [3, 30]])
    learn = learner(nn.Linear(1, 2), logits)
    outputs = torch.tensor([[0.0, 1], [1, 1]])
    assert_close(learn.loss(outputs, logits), torch.tensor((1 + 4 + 0 + 0) / 2 / 2))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: learner(nn.Linear(1, 2), torch.ones(3)), r"logits must be finite, of shape \(N"),
        (
            lambda: learner(nn.Linear(1, 2), torch.tensor([[1.0, 2], [1, 3]])),
            "logits must differ between examples, got one value of logit 0; pass those of a tr",
        ),
        (
            lambda: learner(nn.Linear(1, 2), standard_logits()).loss(
                torch.ones(5, 2), standard_logits()
            ),
            r"outputs must have shape \(5, 5\), got \(5, 2\); give the student as many outputs",
        ),
        (
            lambda: learner(nn.Linear(1, 2), torch.ones(0, 2)),
            r"logits must be finite, of shape \(N, C\), got shape \(0, 2\)",
        ),
        (
            lambda: learner(nn.Linear(1, 5), standard_logits()).start(
                (torch.ones(9, 1), torch.zeros(9)), torch.Generator()
            ),
            r"data must be inputs and logits of shape \(N, 5\), got 2 tensors of shape",
        ),
        (
            lambda: learner(nn.Linear(1, 5), standard_logits()).fold(nn.Linear(2, 5, bias=False)),
            "layer must be a Linear with a bias, got Linear; pass student.output",
        ),
    ],
)
def test_wrong_use(act, message):
    with pytest.raises(UsageError, match=message):
        act()
