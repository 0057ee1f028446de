"""Sections of the page: singular values, depth, words, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...page._sections import Figure, Section, Table, Text, section
from ...words import _numbers as num
from ._data import WANTED, Data, say
from ._figures import depth_figure, error_figure, values_figure

if TYPE_CHECKING:
    from nakami.results import Direction

SHOWN = 5  # words at each end
DIRECTIONS = 3  # of each stage


def values_section(data: Data) -> Section:
    """How far the mean stretches, and what of it is above the noise."""
    lens = data.first
    value = num.pair(float(lens.values[0]), float(lens.value_errors[0]))
    heading = say("values.heading", stage=lens.stage, to=lens.to, pair=value)
    agreement = num.pair(lens.agreement.value, lens.agreement.se)
    text: str = say("values.text_one")
    if data.known:
        text = say("values.text", agreement=agreement) + say(
            "values.resolved", resolved=lens.resolved, all=len(lens.values)
        )
    return section(say, "values", heading, text, [values_figure(data)])


def depth_section(data: Data) -> Section:
    """Ranks and the share of the identity by depth."""
    first, last = data.first, data.last
    rank = num.pair(first.participation_beyond.value, first.participation_beyond.se)
    whole = num.pair(first.participation.value, first.participation.se)
    if not data.square:
        heading = say("depth.heading_rank", stage=first.stage, rank=whole)
        text = say("depth.text_rank", of=len(first.values))
    else:
        shares = [100 * one.identity_share.value for one in (first, last)]
        case = "one" if first is last else "rises" if shares[1] > shares[0] else "falls"
        heading = say(f"depth.heading_{case}", first=shares[0], last=shares[1])
        text = say("depth.text", stage=first.stage, rank=rank, whole=whole, of=len(first.values))
    may_not = say.all_of("depth", "not") if data.square else [say("depth.not_words")]
    return section(say, "depth", heading, text, [depth_figure(data)], may_not=may_not)


def words_section(data: Data) -> Section | None:
    """What the leading directions write."""
    words = data.found.words
    if not any(words.values()):
        return None
    first = words[data.first.stage][0]
    heading = say("directions.heading", stage=data.first.stage, word=shown_word(first.ahead[0][0]))
    figure = Figure(say("directions.title"), say("directions.caption"), table=_words_table(data))
    return section(say, "directions", heading, say("directions.text"), [figure], wide=True)


def _words_table(data: Data) -> Table:
    head: list[Text] = ["stage", "direction", "s", "one end", "other end"]
    rows: list[list[Text]] = []
    for lens in data.drawn:
        for one in data.found.words[lens.stage][:DIRECTIONS]:
            value = num.pair(one.value, one.error)
            ends = [_end(one, end) for end in ("ahead", "behind")]
            rows.append([num.short(lens.stage), str(one.index + 1), value, *ends])
    return Table(say("directions.table"), head, rows, (1, 2), 640, say("directions.note"))


def _end(one: Direction, end: str) -> str:
    pairs = getattr(one, end)[:SHOWN]
    return ", ".join(shown_word(word) for word, _ in pairs)


def shown_word(word: str) -> str:
    """A piece of a vocabulary as a reader sees it: its blank as a space that is seen."""
    return word.replace("\u2581", "\u2423").replace("\u0120", "\u2423").replace(" ", "\u2423")


def error_section(data: Data) -> Section | None:
    """How the standard error falls with the number of prompts."""
    if not data.known or not all(lens.error > 0 for lens in data.drawn):
        return None  # of one prompt nothing is known; prompts of a linear net are all alike
    worst = max(data.lenses, key=lambda lens: lens.error)
    case = "enough" if worst.error <= WANTED else "more"
    heading = say(
        f"error.{case}", stage=worst.stage, error=100 * worst.error, wanted=100 * WANTED,
        needed=worst.prompts_for(WANTED),
    )  # fmt: skip
    text = say("error.text", prompts=worst.n_prompts, groups=worst.settings["groups"])
    return section(say, "error", heading, text, [error_figure(data)])
