"""The sentences of the page."""

from ...words._sentences import Sentences

say = Sentences(__file__)
