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


def is_mostly_about(text: str, item: ItemView, words: Mapping[str, frozenset[str]]) -> bool:
    """True when at least a third of what `text` says, short words left out, is the item's title or the name of its kind."""
    said = [token for token in _tokens(text) if len(token) > 2 or token.isdigit()]
    named = _title_tokens(item) | {token for phrase in _phrases(item.kind, words) for token in phrase}
    return 3 * sum(token in named for token in said) >= len(said) > 0


def _score(said: list[str], item: ItemView, items: Sequence[ItemView], words: Mapping[str, frozenset[str]]) -> float:
    """How much of what was said points to this item: words of its title, rare ones more, and the name of its kind."""
    # "le livre" is rather the book than the e-book whose title says "livre numérique".
    of_others = set().union(*(_single_words(other.kind, words) for other in items)) - _single_words(item.kind, words)
    named = _title_tokens(item).intersection(said)
    rarity = sum(
        (0.5 if token in of_others else 1.0) / sum(token in _title_tokens(other) for other in items) for token in named
    )
    return rarity + (0.75 if item.kind in _kinds_named(said, {each.kind for each in items}, words) else 0.0)


def _kinds_named(said: list[str], kinds: set[str], words: Mapping[str, frozenset[str]]) -> set[str]:
    """The kinds that are spoken of. A longer name takes its words from a shorter one: an "e-book" is no "book"."""
    phrases = sorted({phrase for kind in kinds for phrase in _phrases(kind, words)}, key=len, reverse=True)
    left, found = list(said), set()
    for phrase in phrases:
        for start in range(len(left) - len(phrase) + 1):
            if tuple(left[start : start + len(phrase)]) == phrase:
                left[start : start + len(phrase)] = [""] * len(phrase)
                found.add(phrase)
    return {kind for kind in kinds if found & _phrases(kind, words)}


def _single_words(kind: str, words: Mapping[str, frozenset[str]]) -> set[str]:
    return {phrase[0] for phrase in _phrases(kind, words) if len(phrase) == 1}


def _phrases(kind: str, words: Mapping[str, frozenset[str]]) -> set[tuple[str, ...]]:
    return {tuple(_tokens(word)) for word in words.get(kind, ())}


def _title_tokens(item: ItemView) -> set[str]:
    return {token for token in _tokens(item.title) if len(token) > 2 or token.isdigit()}


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+", _plain(text))


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
