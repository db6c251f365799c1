"""Which item of an order the shopper means: by number, by kind, by words of its title, or by its whole title."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from shop import ItemView

_NUMBERED = re.compile(r"\s*\W{0,3}(\d{1,2})\s*[.)]\s")
_NUMBER_ALONE = re.compile(r"\W*(?:([^\W\d]+)\W*)?(\d{1,2})\W*")


def choose_item(text: str, items: Sequence[ItemView], words: Mapping[str, frozenset[str]]) -> ItemView | None:
    """The one item that `text` names, None when it names none or several.

    `words` says what shoppers call each kind of item, lower case.
    """
    numbered = _NUMBERED.match(text)
    if numbered and 1 <= int(numbered[1]) <= len(items):
        return items[int(numbered[1]) - 1]
    exact = [item for item in items if _tokens(item.title) == _tokens(text)]
    if len(exact) == 1:
        return exact[0]
    alone = _NUMBER_ALONE.fullmatch(text)
    # "le 2" counts along the list, "tome 2" is part of a title.
    in_a_title = alone and alone[1] and any(_plain(alone[1]) in _title_tokens(item) for item in items)
    if alone and not in_a_title:
        return items[int(alone[2]) - 1] if 1 <= int(alone[2]) <= len(items) else None
    scores = [_score(_tokens(text), item, items, words) for item in items]
    best = max(scores, default=0.0)
    return items[scores.index(best)] if best > 0 and scores.count(best) == 1 else None


def _score(said: list[str], item: ItemView, items: Sequence[ItemView], words: Mapping[str, frozenset[str]]) -> float:
    """How much of what was said points to this item: words of its title, rare ones more, and the name of its kind."""
    kind = _kind_words(item, words)
    # "le livre" is rather the book than the e-book whose title says "livre numérique".
    of_others = set().union(*(_kind_words(other, words) for other in items)) - kind
    named = _title_tokens(item).intersection(said)
    rarity = sum(
        (0.5 if token in of_others else 1.0) / sum(token in _title_tokens(other) for other in items) for token in named
    )
    return rarity + (0.75 if kind.intersection(said) else 0.0)


def _kind_words(item: ItemView, words: Mapping[str, frozenset[str]]) -> set[str]:
    return {_plain(word) for word in words.get(item.kind, ())}


def _title_tokens(item: ItemView) -> set[str]:
    return {token for token in _tokens(item.title) if len(token) > 2 or token.isdigit()}


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+", _plain(text))


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
