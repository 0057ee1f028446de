#!/usr/bin/env bash
# pyarrow 26.0.1: ParquetFile(path).iter_batches(...) holds the whole file in memory by its end.
#
# Guess before the run: iter_batches is how a Parquet file larger than memory is read, so with row
# groups of 4 MB memory stays at a group or two, 8 MB of a file of 120 MB; at worst a read-ahead.
#
# Seen: 24.0.0 holds 4 MB at most. 26.0.1 holds 120 MB at the end: every row group that was
# read stays until the reader is gone. The default of pre_buffer became True between 24.0.0 and
# 25.0.0, and what is buffered before is not let go behind the batch; smaller batches and
# use_threads=False change nothing. With pre_buffer=False it is as in 24.0.0. Code that streamed a
# file larger than memory ends in "out of memory" behind an upgrade.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PY'
import json
import sys

import numpy as np
import pyarrow as pa
from pyarrow import parquet

path = sys.argv[1] + "/t.parquet"
schema = pa.schema([("x", pa.float64())])
rng = np.random.default_rng(0)
with parquet.ParquetWriter(path, schema, use_dictionary=False, compression="none") as file:
    for _ in range(30):
        file.write_table(pa.table([rng.normal(size=500_000)], schema=schema))


def most(**options):
    before, seen, rows = pa.total_allocated_bytes(), 0, 0
    for batch in parquet.ParquetFile(path, **options).iter_batches(10_000):
        seen, rows = max(seen, pa.total_allocated_bytes() - before), rows + len(batch)
    assert rows == 30 * 500_000
    return seen / 1e6


found = {"usual": most(), "pre_buffer=False": most(pre_buffer=False)}
print("pyarrow", pa.__version__, "MB held at most, of a file of 120:",
      {name: round(size, 1) for name, size in found.items()})
with open(sys.argv[1] + "/" + pa.__version__, "w") as file:
    json.dump(found, file)
PY
for version in 24.0.0 26.0.1; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/python" -m pip install --quiet "pyarrow==$version" numpy==2.4.6
  mkdir -p "$folder/seen"
  "$folder/$version/bin/python" "$folder/look.py" "$folder/seen"
done
python3 - "$folder/seen" <<'PY'
import json
import sys

old, new = (json.load(open(f"{sys.argv[1]}/{version}")) for version in ("24.0.0", "26.0.1"))
few = max(old["usual"], old["pre_buffer=False"], new["pre_buffer=False"])
sys.exit(0 if few < 20 and new["usual"] > 100 else 1)
PY
