#!/usr/bin/env bash
# typer 0.29.2, NumPy 2.4.6: a command that reads an empty .npy ends with "Aborted.", as after Ctrl-C.
#
# Guess, as programs are written on it, before it was met in use: an Abort comes of Ctrl-C. np.load
# of an empty file raises EOFError ("No data left in file"), and a command in which nobody catches
# it ends with a traceback that shows the reader.
#
# Seen: typer takes an EOFError out of a command for the end of a prompt's input and makes it an
# Abort. There is no traceback and no word of a file: "Aborted." and exit code 1, to a person the
# same as an interruption. A program that calls the app with standalone_mode=False gets an Abort,
# and finds the EOFError in its __cause__ alone. gzip and pickle raise EOFError at a file cut short,
# too.
#
# Exits 0 while this is so, 1 when it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet typer==0.29.2 numpy==2.4.6
cat > "$folder/command.py" <<'PY'
from importlib.metadata import version

import numpy as np
import typer

app = typer.Typer()


@app.command()
def show(file: str) -> None:
    print(np.load(file).shape)


if __name__ == "__main__":
    print("typer", version("typer"), "numpy", np.__version__, flush=True)
    app()
PY
: > "$folder/empty.npy"
code=0
"$folder/venv/bin/python" "$folder/command.py" "$folder/empty.npy" > "$folder/said" 2>&1 || code=$?
cat "$folder/said"
echo "exit code $code"
[ "$code" = 1 ] && grep -q "Aborted" "$folder/said" && ! grep -q "EOFError\|Traceback" "$folder/said"
