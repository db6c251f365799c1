"""The FAQ as the dialogue uses it: which entry answers what has been said, and how it is told."""

from __future__ import annotations

from typing import Any

import structlog

from bot.doors import FaqHit, FaqResult, World
from bot.replies import Reply, payload
from bot.turn import Turn

HITS = 3

log = structlog.get_logger()


def search_faq(world: World, turn: Turn) -> tuple[FaqHit | None, FaqResult]:
    """The entry to answer with, if any, and what was found."""
    result = world.faq.search(turn.text, world.desk.language_of(turn.conversation_id), HITS)
    # A suggestion that was clicked is asked for by its title: no doubt is left then.
    named = next((hit for hit in result.top if hit.title.strip().casefold() == turn.text.strip().casefold()), None)
    if named is not None or not result.answered:
        return named, result
    return next((hit for hit in result.top if hit.slug == result.slug), None), result


def sure_entry(world: World, turn: Turn) -> FaqHit | None:
    """The entry to answer with, where the dialogue goes on without one; None also when the FAQ cannot be asked."""
    try:
        return search_faq(world, turn)[0]
    except Exception:
        log.exception("the FAQ cannot be asked; the dialogue goes on without it")
        return None


def faq_answer(hit: FaqHit) -> dict[str, Any]:
    return payload(Reply.FAQ_ANSWER, title=hit.title, answer=hit.answer_markdown, slug=hit.slug)
