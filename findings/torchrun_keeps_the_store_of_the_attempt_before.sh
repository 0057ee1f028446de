#!/usr/bin/env bash
# torch 2.13.0: behind a restart by torchrun, processes find what those before have written.
#
# Guess before the run: with `--max-restarts` each attempt begins with an empty store; the comment in
# torch/distributed/rendezvous.py says that a new one is made for every retry, and older versions put
# the number of the attempt in front of the keys.
#
# Seen: the store is the agent's own (TORCHELASTIC_USE_AGENT_STORE), which lives on. In attempt 1 a key
# of attempt 0 is there, by `--standalone` and without. `init_process_group` writes the addresses of
# its sockets into that store under the same names, so that a process which is quick may read the
# address of one that is gone: after a rank was killed, a gloo group is sometimes made, and sometimes
# ends in "connectFullMesh failed ... Connection refused" or waits. A prefix of one's own with
# TORCHELASTIC_RESTART_COUNT in it makes each attempt new.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6
cat > "$folder/attempt.py" <<'PY'
import os
import sys

import torch
import torch.distributed as dist

store, rank, size = next(dist.rendezvous("env://"))
attempt = os.environ["TORCHELASTIC_RESTART_COUNT"]
own = dist.PrefixStore(f"attempt-{attempt}", store)
if attempt == "0":
    store.set("written", "by attempt 0")
    own.set("written", "by attempt 0")
    sys.exit(3)  # so that torchrun starts it again
old, new = store.check(["written"]), own.check(["written"])
print(f"torch {torch.__version__}, attempt {attempt}: key there {old}, behind a prefix {new}", flush=True)
with open(sys.argv[1], "a") as file:
    file.write(f"{old} {new}\n")
PY
export OMP_NUM_THREADS=1
for form in "--standalone" "--master-port=29517"; do
    "$folder/venv/bin/torchrun" $form --nproc-per-node 1 --max-restarts 1 \
        "$folder/attempt.py" "$folder/seen" 2>/dev/null
done
[ "$(sort -u "$folder/seen")" = "True False" ] && [ "$(wc -l < "$folder/seen")" = 2 ]
