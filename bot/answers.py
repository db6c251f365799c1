"""Everything outside the forms: questions, complaints, a yes to an offer, and the request for a human."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action
from rasa_sdk.executor import CollectingDispatcher

from bot.doors import FaqHit, FaqResult, World
from bot.forms import Events, leave_form
from bot.replies import HANDED_OVER, Reply, payload
from bot.turn import Tracker, Turn, read_turn

_HITS = 3


class _Answer(Action):  # type: ignore[misc]
    """Says one thing and leaves the form, if one was open: the shopper has changed the subject."""

    action: str

    def __init__(self, world: World) -> None:
        self.world = world

    def name(self) -> str:
        return self.action

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        dispatcher.utter_message(json_message=self.reply(read_turn(tracker)))
        return leave_form()

    def reply(self, turn: Turn) -> dict[str, Any]:
        raise NotImplementedError

    def _search(self, turn: Turn) -> tuple[FaqHit | None, FaqResult]:
        """The entry to answer with, if any, and what was found."""
        result = self.world.faq.search(turn.text, self.world.desk.language_of(turn.conversation_id), _HITS)
        # A suggestion that was clicked is asked for by its title: no doubt is left then.
        named = next((hit for hit in result.top if hit.title.strip().casefold() == turn.text.strip().casefold()), None)
        if named is not None or not result.answered:
            return named, result
        return next((hit for hit in result.top if hit.slug == result.slug), None), result


class AnswerQuestion(_Answer):
    action = "action_answer_question"

    def reply(self, turn: Turn) -> dict[str, Any]:
        hit, result = self._search(turn)
        if hit is not None:
            return payload(Reply.FAQ_ANSWER, title=hit.title, answer=hit.answer_markdown, slug=hit.slug)
        near = [hit for hit in result.top if hit.score >= self.world.suggestion_floor]
        if near:
            suggestions = [{"slug": hit.slug, "title": hit.title} for hit in near[:_HITS]]
            return payload(Reply.SUGGESTIONS, offers_human=True, suggestions=suggestions)
        nothing = Reply.NO_ALERTS if turn.intent == "subscribe_alerts" else Reply.UNKNOWN
        return payload(nothing, offers_human=True)


class Comfort(_Answer):
    """A complaint: heard first, answered if we can, and a human at once if wanted."""

    action = "action_comfort"

    def reply(self, turn: Turn) -> dict[str, Any]:
        hit, _ = self._search(turn)
        title, answer = (hit.title, hit.answer_markdown) if hit else (None, None)
        return payload(Reply.COMPLAINT, offers_human=True, title=title, answer=answer)


class Accept(_Answer):
    """A yes. To the offer of an adviser it is a request for one."""

    action = "action_accept"

    def reply(self, turn: Turn) -> dict[str, Any]:
        if not turn.human_offered:
            return payload(Reply.ACCEPTED)
        self.world.desk.hand_over(turn.conversation_id, "offered")
        return {"response": HANDED_OVER}


class RequestHuman(_Answer):
    """A human is wanted: never refused, never discussed. The desk tells the shopper what happens next."""

    action = "action_request_human"

    def reply(self, turn: Turn) -> dict[str, Any]:
        self.world.desk.hand_over(turn.conversation_id, "asked")
        return {"response": HANDED_OVER}
