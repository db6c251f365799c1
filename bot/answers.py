"""Everything outside the forms: questions, complaints, a yes to an offer, and the request for a human."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action
from rasa_sdk.executor import CollectingDispatcher

from bot.doors import World
from bot.faq import faq_answer, search_faq, sure_entry
from bot.forms import Events, leave_form
from bot.replies import HANDED_OVER, Reply, payload
from bot.turn import Tracker, Turn, read_turn


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


class AnswerQuestion(_Answer):
    action = "action_answer_question"

    def reply(self, turn: Turn) -> dict[str, Any]:
        hit, result = search_faq(self.world, turn)
        if hit is not None:
            return faq_answer(hit)
        near = [hit for hit in result.top if hit.score >= self.world.suggestion_floor]
        if near:
            suggestions = [{"slug": hit.slug, "title": hit.title} for hit in near]
            return payload(Reply.SUGGESTIONS, offers_human=True, suggestions=suggestions)
        nothing = Reply.NO_ALERTS if turn.intent == "subscribe_alerts" else Reply.UNKNOWN
        return payload(nothing, offers_human=True)


class AnswerOutsider(Action):  # type: ignore[misc]
    """None of the shop's intents: the FAQ may still know. Chatter leaves an open form open."""

    def __init__(self, world: World) -> None:
        self.world = world

    def name(self) -> str:
        return "action_answer_outsider"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        hit = sure_entry(self.world, read_turn(tracker))
        if hit is not None:
            dispatcher.utter_message(json_message=faq_answer(hit))
            return leave_form()
        dispatcher.utter_message(json_message=payload(Reply.OUT_OF_SCOPE, offers_human=True))
        return []


class Comfort(_Answer):
    """A complaint: heard first, answered if we can, and a human at once if wanted."""

    action = "action_comfort"

    def reply(self, turn: Turn) -> dict[str, Any]:
        hit, _ = search_faq(self.world, turn)
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
