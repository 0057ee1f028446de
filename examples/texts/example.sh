#!/usr/bin/env bash
# From texts with topics to a network that answers. Needs: pip install 'nakami[all,export]'
# Usage: bash example.sh [TEXTS]
set -euo pipefail
cd "$(dirname "$0")"
python make_data.py "${1:-2000}"
set -x

# 1. What is in the file? A proposal is written to texts.toml.
nakami data inspect texts.jsonl --force
# 2. Your part: words in their order, not only which there are. (sed stands for your editor.)
sed -i.proposed 's/"bag"/"words"/' texts.toml
nakami data check texts.toml
# 3. Train the network of nets.py, at the rate that is advised for it.
nakami train nets:make --data texts.toml
# 4. Look inside at four texts, and write it out of torch.
nakami xray nakami-out/make/weights-data-texts.toml --inputs 4
nakami export nakami-out/make/weights-data-texts.toml
# 5. What the exported file says of a text, without torch and nakami.
python answer.py nakami-out/make/weights-data-texts.toml/export/trained-onnx
python ../figures.py nakami-out/make/weights-data-texts.toml
