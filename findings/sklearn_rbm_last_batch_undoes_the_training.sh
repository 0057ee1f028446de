#!/usr/bin/env bash
# scikit-learn 1.9.1: one row more than whole batches undoes the training of a BernoulliRBM.
#
# Guess before the run: 1,001 examples in batches of 100 train as well as 1,000, within the noise of
# the chains; the last batch of one row is a noisy step, a hundredth of an epoch.
#
# Seen: after 20 epochs on 8 x 8 digits the pseudo-likelihood of 1,000 rows rises to about -25.5 (the
# untrained machine has about -44). With 1,001 rows it falls to about -62. For each batch the data's
# statistics are summed over its rows, those of the persistent chains over all 100 chains, and both
# are divided by the number of rows in the batch: a batch of one row takes the negative part a
# hundred times too large. No warning. With 1,050 rows a nat is lost.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - <<'PY'
import sys

import sklearn
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM

x = (load_digits().data > 7.5).astype(float)


def trained(rows, epochs=20):
    scores = []
    for seed in range(3):
        rbm = BernoulliRBM(64, learning_rate=0.05, batch_size=100, n_iter=epochs, random_state=seed)
        rbm.fit(x[:rows])
        scores.append(float(rbm.score_samples(x[:1000]).mean()))
    return scores


found = {rows: trained(rows) for rows in (1000, 1001, 1050, 1100)}
start = trained(1000, 0)
print("scikit-learn", sklearn.__version__)
print("untrained", [round(s, 1) for s in start])
for rows, scores in found.items():
    print(rows, "rows:", [round(s, 1) for s in scores])
sys.exit(not (min(found[1000]) > max(start) and max(found[1001]) < min(start)))
PY
