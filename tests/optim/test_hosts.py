"""Optimizers of nakami in the trainers of transformers and Lightning make the steps of a loop."""

import importlib.util

import pytest
import torch
from torch import nn

from nakami.optim import EKFAC, SDProp

SDPROP = {"lr": 0.01, "gamma": 0.9, "weight_decay": 0.1, "decoupled_weight_decay": True}


def needs(library):
    return pytest.mark.skipif(importlib.util.find_spec(library) is None, reason=f"needs {library}")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def gathered():
    gen = torch.Generator().manual_seed(1)
    return torch.randn(24, 5, generator=gen), torch.randint(0, 3, (24,), generator=gen)


def by_hand(make, epochs=2):
    """Weights of a plain loop over the data in order."""
    model = network()
    optimizer = make(model)
    for x, y in zip(*(part.repeat(epochs, *[1] * (part.ndim - 1)).split(6) for part in gathered()),
                    strict=True):  # fmt: skip
        optimizer.zero_grad()
        outputs = model(x)
        if hasattr(optimizer, "observe"):
            optimizer.observe(outputs, y)
        nn.functional.cross_entropy(outputs, y).backward()
        optimizer.step()
    return model.state_dict()


class Classified(nn.Module):
    """A model as transformers has them."""

    def __init__(self):
        super().__init__()
        self.net = network()

    def forward(self, x, labels=None):
        logits = self.net(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@needs("transformers")
@needs("accelerate")
def test_transformers_trainer_takes_the_class_and_its_arguments(tmp_path):
    import transformers

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *args):
            return None

    args = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=8, per_device_train_batch_size=6, use_cpu=True,
        report_to="none", max_grad_norm=0.0, save_strategy="no", disable_tqdm=True,
        lr_scheduler_type="constant", learning_rate=0.5,
    )  # fmt: skip
    rows = [{"x": x, "labels": y} for x, y in zip(*gathered(), strict=True)]
    model = Classified()
    trainer = InOrder(
        model=model, args=args, train_dataset=rows, optimizer_cls_and_kwargs=(SDProp, SDPROP)
    )
    trainer.train()
    # the Trainer writes its own weight decay (here 0) into every group: that of SDPROP is not used
    wanted = by_hand(lambda net: SDProp(net.parameters(), **{**SDPROP, "weight_decay": 0.0}))
    for name, found in model.net.state_dict().items():
        torch.testing.assert_close(found, wanted[name], rtol=0, atol=1e-6)
    assert {group["lr"] for group in trainer.optimizer.param_groups} == {0.01}


@needs("lightning")
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda model: SDProp(model.parameters(), **SDPROP),
        lambda model: EKFAC(model, "cross_entropy", refresh=2, basis=2),
    ],
    ids=["SDProp", "EKFAC"],
)
def test_lightnings_trainer_steps_as_a_loop_does(tmp_path, make):
    import lightning.pytorch as lit

    class Training(lit.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def training_step(self, batch, index):
            outputs = self.net(batch[0])
            optimizer = self.optimizers(use_pl_optimizer=False)
            if hasattr(optimizer, "observe"):
                optimizer.observe(outputs, batch[1])
            return nn.functional.cross_entropy(outputs, batch[1])

        def configure_optimizers(self):
            return make(self.net)

    training = Training()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*gathered()), batch_size=6)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = lit.Trainer(
        max_epochs=2, accelerator="cpu", enable_model_summary=False,
        default_root_dir=tmp_path, **quiet,
    )  # fmt: skip
    trainer.fit(training, loader)
    wanted = by_hand(make)
    for name, found in training.net.state_dict().items():
        torch.testing.assert_close(found, wanted[name], rtol=0, atol=1e-6)
