"""The GRU's constraint and K-FAC in trainings of others: Lightning, accelerate, two processes."""

import importlib.util

import pytest
import torch
from torch import nn

from nakami.recurrent import SpectralConstraint, candidate_blocks
from ranks import measured_by
from two_trainers import (
    OPTIMIZERS,
    Experts,
    Last,
    constrained,
    natural,
    sequences,
    with_experts,
)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What two processes found that trained one network together."""
    return measured_by("two_trainers:measured", 2, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("training", ["constrained", "natural", "estimated", "quasi-diagonal"])
def test_processes_that_train_together_keep_the_same_bits(ranks, training):
    for first, second in zip(ranks[0][training], ranks[1][training], strict=True):
        assert torch.equal(first, second)


def test_two_processes_train_as_one_does_on_all_data(ranks):
    wanted = constrained(Last(3.0), *sequences(), 5)
    for found, one in zip(ranks[0]["constrained"], wanted, strict=True):
        torch.testing.assert_close(found, one, rtol=0, atol=1e-5)
    # drawn targets differ between the two; what the inputs were does not
    for name, form in (("one step", None), ("one estimated step", "estimated")):
        factor = natural(Last(), *sequences(), 1, form)[-1]
        torch.testing.assert_close(ranks[0][name][-1], factor, rtol=0, atol=1e-6)
        alone = natural(Last(), *(part[:4] for part in sequences()), 1, form)[-1]
        assert (alone - factor).abs().max() > 1e-4


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_layer_that_one_process_uses_counts_as_unused_by_the_other(ranks, name):
    for first, second in zip(ranks[0][name, 3][0], ranks[1][name, 3][0], strict=True):
        assert torch.equal(first, second)
    read = [rank[name, 1][1] for rank in ranks]
    for which, part in enumerate((slice(0, 4), slice(4, 8))):
        x, y = (each[part] for each in sequences())
        # what one process does not use has no activation behind it there: as "estimated"
        form = "estimated" if name == "closed" else name
        alone = with_experts(Experts(), which, x, y, form, 1, seed=which)[1]
        compared = set()
        for parameter in (p for p in alone if p.startswith(f"experts.{which}")):
            # a mean over all samples is half of the own one; of inputs only those used count
            shares = dict.fromkeys(
                ("curvature_avg", "diagonal", "slopes", "squares", "mixed", "A"), 0.5
            )
            shares |= dict.fromkeys(("inputs", "mean", "variance"), 1.0)
            for key in shares.keys() & alone[parameter].keys():
                wanted = shares[key] * alone[parameter][key]
                compared.add(key)
                for each in read:
                    torch.testing.assert_close(each[parameter][key], wanted, rtol=1e-5, atol=1e-9)
        assert len(compared) >= (1 if name == "vsgd" else 3)


@pytest.mark.skipif(importlib.util.find_spec("lightning") is None, reason="needs lightning")
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_lightnings_trainer_projects_after_each_of_its_steps(tmp_path):
    import lightning.pytorch as lit

    class Training(lit.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = Last(3.0)

        def training_step(self, batch):
            x, y = batch
            return nn.functional.cross_entropy(self.model(x), y)

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
            self.constraint = SpectralConstraint(self, optimizer, delta=0.5)
            return optimizer

    training, (x, y) = Training(), sequences()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=8)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = lit.Trainer(
        max_epochs=5,
        accelerator="cpu",
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **quiet,
    )
    trainer.fit(training, loader)
    assert training.constraint.count == 5
    assert training.constraint.blocks[0].highest > 1.5
    wanted = constrained(Last(3.0), x, y, 5)
    for found, one in zip(training.model.parameters(), wanted, strict=True):
        torch.testing.assert_close(found.detach(), one, rtol=0, atol=1e-6)


def test_a_wrapped_optimizer_is_looked_through():
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, optimizer):
            self.optimizer = optimizer
            self.param_groups, self.state = optimizer.param_groups, optimizer.state

        def step(self, closure=None):
            return self.optimizer.step(closure)

    model = Last(3.0)
    optimizer = Wrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    constraint = SpectralConstraint(model, optimizer)
    (model(sequences()[0]).square().sum()).backward()
    optimizer.step()
    assert constraint.count == 1
    assert float(torch.linalg.matrix_norm(candidate_blocks(model)[0].matrix, 2)) < 1.8001
