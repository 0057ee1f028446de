"""Make a table of readings of machines: sensors.csv. Your own table takes its place."""

import csv
import random
import sys
from pathlib import Path

STATES = ("fine", "worn", "blocked")
HEAT, SHAKE, FLOW = (52, 61, 66), (1.1, 2.3, 1.6), (8.0, 7.4, 4.9)  # means, by state

rows = int(sys.argv[1])
rng = random.Random(0)
with Path("sensors.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["time", "machine", "state", "temperature", "vibration", "flow"])
    for i in range(rows):
        state = rng.choices((0, 1, 2), (6, 3, 1))[0]
        machine = rng.choice("ABCD")
        offset = 4 * "ABCD".index(machine)  # some machines run hotter than others
        table.writerow(
            [
                f"2026-03-{1 + i * 28 // rows:02} {i % 24:02}:{i % 60:02}",
                machine,
                STATES[state],
                round(rng.gauss(HEAT[state] + offset, 2.5), 2),
                round(rng.gauss(SHAKE[state], 0.3), 3),
                round(rng.gauss(FLOW[state], 0.6), 3),
            ]
        )
