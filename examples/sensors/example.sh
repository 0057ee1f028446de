#!/usr/bin/env bash
# From a table of sensors to a network that answers. Needs: pip install 'nakami[all,export]'
# Usage: bash example.sh [ROWS]
set -euo pipefail
cd "$(dirname "$0")"
python make_data.py "${1:-4000}"
set -x

# 1. What is in the table? A proposal is written to sensors.toml.
nakami data inspect sensors.csv --force
# 2. Your part: say what is to be foreseen. (In an editor; here sed changes that one line.)
sed -i.proposed '/columns.state/,/use/ s/"input"/"target"/' sensors.toml
nakami data check sensors.toml
# 3. Train the network of nets.py, at the rate that is advised for it.
nakami train nets:make --data sensors.toml
# 4. Look inside, and write it out of torch.
nakami xray nakami-out/make/weights-data-sensors.toml
nakami export nakami-out/make/weights-data-sensors.toml
# 5. What the exported file says of a new row, without torch and nakami.
python answer.py nakami-out/make/weights-data-sensors.toml/export/trained-onnx
python ../figures.py nakami-out/make/weights-data-sensors.toml
