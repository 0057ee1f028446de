#!/usr/bin/env bash
# safetensors 0.8.0: `load(bytes)` gives the tensors of one file in another order in each process.
#
# Guess before the run: a dict in the order of the file, or by name, as `load_file` and `safe_open`
# give it; in any case the same in each process that reads the same bytes.
#
# Seen: `load_file` and `safe_open(...).keys()` are in one order in all processes; `load` of the same
# bytes, of torch and of NumPy, is in an order drawn anew in each process. Whatever depends on the
# order differs from run to run without a word: weights joined to one vector, a checksum of it, an
# optimizer built from the values. Ranks that make one collective call for each tensor call for
# different ones.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet safetensors==0.8.0 torch==2.13.0 numpy==2.4.6
cat > "$folder/write.py" <<'PY'
import sys

import torch
from safetensors.torch import save_file

net = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(6)))
save_file(net.state_dict(), sys.argv[1])
PY
cat > "$folder/read.py" <<'PY'
import sys
from pathlib import Path

import safetensors.numpy
import safetensors.torch
import torch

data = Path(sys.argv[1]).read_bytes()
ways = {
    "load_file": safetensors.torch.load_file(sys.argv[1]),
    "load": safetensors.torch.load(data),
    "numpy.load": {k: torch.tensor(v) for k, v in safetensors.numpy.load(data).items()},
}
for way, found in ways.items():
    joined = torch.cat([t.flatten() for t in found.values()])
    weighted = float(joined.double() @ torch.arange(len(joined)).double())
    print(way, f"{weighted:.6f}", ",".join(found))
PY
"$folder/venv/bin/python" "$folder/write.py" "$folder/net.safetensors"
for _ in 1 2 3 4 5 6 7 8; do
    "$folder/venv/bin/python" "$folder/read.py" "$folder/net.safetensors" >> "$folder/seen"
done
for way in load_file load numpy.load; do
    orders=$(grep "^$way " "$folder/seen" | cut -d' ' -f3 | sort -u | wc -l)
    sums=$(grep "^$way " "$folder/seen" | cut -d' ' -f2 | sort -u | wc -l)
    echo "safetensors 0.8.0, $way in 8 processes: $orders orders, $sums sums of the joined weights"
    case "$way" in
        load_file) [ "$orders" = 1 ] && [ "$sums" = 1 ] ;;
        *) [ "$orders" -gt 1 ] && [ "$sums" -gt 1 ] ;;
    esac
done
