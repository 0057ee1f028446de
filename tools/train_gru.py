"""Make src/nakami/data/weights/gru.safetensors, the GRU of the zoo trained on the shipped digits.

python tools/train_gru.py

Cross-entropy on the 4,000 training digits, 30 epochs in batches of 50, AdamW at a rate that falls
from 0.003 to 0 (cosine), decay 0.01, gradients clipped at norm 1, seed 0, one thread. Prints the
error on the 1,000 test digits. Takes half a minute; other versions of torch give other last bits.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from nakami import data, zoo

FILE = Path(data.__file__).parent / "weights" / "gru.safetensors"
EPOCHS, BATCH, RATE = 30, 50, 3e-3


def main() -> None:
    """Train, measure, write."""
    torch.set_num_threads(1)
    model, generator = zoo.build("gru").train(), torch.Generator().manual_seed(0)
    digits, test = data.digits("train"), data.digits("test")
    assert digits.labels is not None
    assert test.labels is not None
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    steps = EPOCHS * len(digits) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(digits), generator=generator).split(BATCH):
            loss = functional.cross_entropy(model(digits.inputs[rows]), digits.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        wrong = model(test.inputs).argmax(1) != test.labels
    print(f"last loss {loss.item():.4f}, test error {100 * float(wrong.double().mean()):.1f} %")
    data.save_weights(model, FILE)


if __name__ == "__main__":
    main()
