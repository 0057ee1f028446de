#!/usr/bin/env bash
# From a folder of pictures to a page that answers. Needs: pip install 'nakami[all,export]', Node.js
# Usage: bash example.sh [PICTURES]
set -euo pipefail
cd "$(dirname "$0")"
python make_data.py "${1:-600}"
set -x

# 1. What is in the folder? A proposal is written to photographs.toml.
nakami data inspect photographs --force
# 2. Your part: these pictures are simple, so smaller ones will do. (sed stands for your editor.)
sed -i.proposed 's/^size = 64/size = 32/' photographs.toml
nakami data check photographs.toml
# 3. Train the network of nets.py, at the rate that is advised for it.
nakami train nets:make --data photographs.toml
# 4. Look inside at four pictures, and write it out of torch, with a page.
nakami xray nakami-out/make/weights-data-photographs.toml --inputs 4 --top 20
nakami export nakami-out/make/weights-data-photographs.toml --to web
# 5. What the exported file says of a picture, without torch and nakami.
python answer.py nakami-out/make/weights-data-photographs.toml/export/trained-web
python ../figures.py nakami-out/make/weights-data-photographs.toml
