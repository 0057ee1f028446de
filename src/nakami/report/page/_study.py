"""What pages of computed studies share: the frame around what each has of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ..words._sentences import Sentences
from ._sections import Frame, Table, Text, Verdict

CURVES = 6  # colours


def study_frame(
    say: Sentences,
    name: str,
    verdict: Verdict,
    tables: list[Table],
    how: Sequence[str],
    **facts: object,
) -> Frame:
    """The frame of a study, worded by ``page``, ``how`` and ``words`` of its sentences.

    Args:
        say: The sentences of the page.
        name: Of what was computed.
        verdict: Above the first section.
        tables: All figures.
        how: Rows of the table on what was computed: ``how.<each>_name`` and ``how.<each>``.
        facts: What fills those in.
    """
    from nakami import __version__

    rows: list[list[Text]] = [
        [say(f"how.{each}_name"), say(f"how.{each}", **facts)] for each in how
    ]
    return Frame(
        kind=say("page.kind"),
        title=f"nakami theory: {name}",
        name=name,
        verdict=verdict,
        tables=tables,
        how=Table(say("how.title"), ["", say("how.head")], rows, (), 480),
        note=say("how.note"),
        words=say.words,
        n_curves=CURVES,
        made="Computed",
        version=__version__,
        created="",
    )
