"""The sentences of the page."""

from pathlib import Path

from ...words._sentences import Sentences

say = Sentences(Path(__file__).with_name("sentences.toml"))
