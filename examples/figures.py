"""The figures that matter of a training that was exported, and where its pages are."""

import json
import sys
from pathlib import Path

run = Path(sys.argv[1])
for file in sorted(run.glob("export/*/export.json")):
    found = json.loads(file.read_text(encoding="utf-8"))
    accuracy = found["accuracy"]
    print(f"right answers on test rows: {accuracy['before']:.1%} of {accuracy['examples']}")
    print(
        f"largest difference of {file.parent.name} from torch: {found['agreement']['absolute']:.1e}"
    )
    print(f"model card: {file.parent / 'card.md'}")
for page in (run / "report.html", *sorted(run.parent.glob("data-*/report.html"))):
    print(f"page: {page}")
