"""Make sentences of guests with what they are about: texts.jsonl. Your own texts take its place."""

import json
import random
import sys
from pathlib import Path

ABOUT = {
    "food": (
        "the soup was cold|the bread tasted of nothing|we loved the fish|a wonderful breakfast|"
        "my steak was burnt|the cake was far too sweet|the best coffee in town|too much salt"
    ),
    "room": (
        "the bed was soft|our window would not close|the shower dripped all night|a quiet corner|"
        "the carpet smelled of smoke|a fine view of the harbour|the pillow was hard|no hot water"
    ),
    "staff": (
        "the waiter forgot us|a friendly woman at the desk|nobody answered the phone|"
        "they carried our bags|the porter was rude|she found us a taxi|he smiled at everyone|"
        "they apologised twice"
    ),
}
BEFORE = ("honestly", "on the first day", "as ever", "to our surprise", "last summer", "sadly")
AFTER = ("and we told them", "which is a pity", "so we may come again", "as our friends had said")

count = int(sys.argv[1])
rng = random.Random(0)
with Path("texts.jsonl").open("w", encoding="utf-8") as file:
    for _ in range(count):
        about = rng.choice([*ABOUT])
        phrases = [rng.choice(ABOUT[about].split("|")) for _ in range(rng.randint(1, 2))]
        other = rng.choice([*ABOUT])  # a word or two about something else now and then
        if rng.random() < 0.2:
            phrases.append(" ".join(rng.choice(ABOUT[other].split("|")).split()[:2]))
        said = f"{rng.choice(BEFORE)}, {' and '.join(phrases)}, {rng.choice(AFTER)}."
        print(json.dumps({"id": rng.randrange(10**6), "said": said, "topic": about}), file=file)
