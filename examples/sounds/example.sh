#!/usr/bin/env bash
# From a folder of sounds to a network that answers. Needs: pip install 'nakami[all,export]'
# Usage: bash example.sh [SOUNDS]
set -euo pipefail
cd "$(dirname "$0")"
python make_data.py "${1:-300}"
set -x

# 1. What is in the folder? A proposal is written to sounds.toml.
nakami data inspect sounds --force
# 2. Your part: the first half second tells enough. (sed stands for your editor.)
sed -i.proposed 's/^seconds = .*/seconds = 0.5/' sounds.toml
nakami data check sounds.toml
# 3. Train the network of nets.py, at the rate that is advised for it.
nakami train nets:make --data sounds.toml
# 4. Look inside at four sounds, and write it out of torch.
nakami xray nakami-out/make/weights-data-sounds.toml --inputs 4
nakami export nakami-out/make/weights-data-sounds.toml
# 5. What the exported file says of a sound, without torch and nakami.
python answer.py nakami-out/make/weights-data-sounds.toml/export/trained-onnx
python ../figures.py nakami-out/make/weights-data-sounds.toml
