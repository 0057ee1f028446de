"""Time from the shell to the help: the front door must open in under half a second.

Median of 7 starts, side by side with a bare interpreter in the same run.
"""

import statistics
import subprocess
import sys
import time

STARTS = 7
LIMIT = 0.5  # seconds, for `nakami --help`
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import nakami": [sys.executable, "-c", "import nakami"],
    "nakami --help": [sys.executable, "-m", "nakami", "--help"],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    medians = {
        name: statistics.median(seconds(command) for _ in range(STARTS))
        for name, command in COMMANDS.items()
    }
    for name, median in medians.items():
        print(f"{name:16s} {median:.3f} s")
    if medians["nakami --help"] > LIMIT:
        sys.exit(f"nakami --help took {medians['nakami --help']:.2f} s, the limit is {LIMIT} s")


if __name__ == "__main__":
    main()
