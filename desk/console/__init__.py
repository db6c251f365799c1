"""The agents' console: the desk in a browser, with everything about the shopper on one screen.

`console_blueprint` makes the Flask blueprint under `/desk`; what it needs of the rest of the house comes in as `ConsoleDoors`.
"""

from desk.console.blueprint import console_blueprint
from desk.console.doors import ComposedMail, ConsoleDoors, ContentMistake

__all__ = ["ComposedMail", "ConsoleDoors", "ContentMistake", "console_blueprint"]
