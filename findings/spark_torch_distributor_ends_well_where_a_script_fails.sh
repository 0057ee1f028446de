#!/usr/bin/env bash
# pyspark 4.3.0: TorchDistributor.run("train.py") ends without an error where the script failed.
#
# Guess before the run: a process of the training raises, torchrun ends with code 1, and run(...)
# raises RuntimeError with the last lines that were said, as its source builds such a message of a
# return code that is not 0.
#
# Seen: the command that is started is pyspark's own wrapper around torchrun (it ends torchrun where
# Spark's process is gone), and the wrapper never passes the return code on: it is 0 however the
# training ended. With a script, run(...) returns None as if all were well, in local mode, though
# its process raised or was killed by SIGKILL. With a function the error shows only because the file
# with what the function gave is missing, and says nothing of the cause. Not the return of run(...),
# but a file that the script writes at its end tells that it came there.
#
# Exits 0 while this is so, 1 when it changes. Needs Java 17.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6 pyspark==4.3.0
cat > "$folder/raises.py" <<'PY'
raise ZeroDivisionError("the training failed")
PY
cat > "$folder/killed.py" <<'PY'
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
PY
cd "$folder"
PYSPARK_PYTHON="$folder/venv/bin/python" "$folder/venv/bin/python" - <<'PY' 2>/dev/null
import sys

import pyspark
from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
for name in ("bindAddress", "host"):
    builder = builder.config(f"spark.driver.{name}", "127.0.0.1")
spark = builder.getOrCreate()


def fails():
    raise ZeroDivisionError("the training failed")


found = {}
for what in ("raises.py", "killed.py", fails):
    try:
        found[what] = f"returned {TorchDistributor(1, local_mode=True, use_gpu=False).run(what)}"
    except RuntimeError as error:
        found[what] = f"RuntimeError: {error}"
spark.stop()
print("pyspark", pyspark.__version__)
for what, how in found.items():
    print(what if isinstance(what, str) else "a function that raises", "|", how)
silent = all(found[name] == "returned None" for name in ("raises.py", "killed.py"))
sys.exit(0 if silent and "ZeroDivisionError" not in found[fails] else 1)
PY
