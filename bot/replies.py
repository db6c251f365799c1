"""The names of everything the bot can say. The words stand in responses/<language>.yml, one entry a name."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Reply(StrEnum):
    """A response's key; the facts that each one needs are the variables of its text."""

    WELCOME = "welcome"
    GREET = "greet"
    THANKS = "thanks"
    GOODBYE = "goodbye"
    DENY = "deny"
    ACCEPTED = "accepted"
    OUT_OF_SCOPE = "out_of_scope"
    NOTHING_SAID = "nothing_said"

    ASK_ORDER_NUMBER = "ask_order_number"
    ASK_ORDER_NUMBER_AGAIN = "ask_order_number_again"
    ASK_WHICH_ORDER = "ask_which_order"
    ASK_ORDER_PROOF = "ask_order_proof"
    ASK_ORDER_PROOF_AGAIN = "ask_order_proof_again"
    PROOF_REFUSED = "proof_refused"
    THROTTLED = "throttled"
    STOPPED = "stopped"
    ORDER_STATUS = "order_status"

    ASK_RETURN_ITEM = "ask_return_item"
    ASK_RETURN_ITEM_AGAIN = "ask_return_item_again"
    ASK_RETURN_CONFIRMATION = "ask_return_confirmation"
    ASK_RETURN_CONFIRMATION_AGAIN = "ask_return_confirmation_again"
    RETURN_CREATED = "return_created"
    RETURN_ABANDONED = "return_abandoned"
    RETURN_REFUSED_NOT_DELIVERED = "return_refused_not_delivered"
    RETURN_REFUSED_TOO_LATE = "return_refused_too_late"
    RETURN_REFUSED_PERSONALISED = "return_refused_personalised"
    RETURN_REFUSED_DIGITAL = "return_refused_digital"
    RETURN_REFUSED_ALREADY_RETURNED = "return_refused_already_returned"
    RETURN_REFUSED_CANCELLED = "return_refused_cancelled"
    RETURN_REFUSED_NO_SUCH_ITEM = "return_refused_no_such_item"

    FAQ_ANSWER = "faq_answer"
    SUGGESTIONS = "suggestions"
    UNKNOWN = "unknown"
    NO_ALERTS = "no_alerts"
    COMPLAINT = "complaint"

    NOTICE_ESCALATED = "notice_escalated"
    NOTICE_CLAIMED = "notice_claimed"
    NOTICE_RELEASED = "notice_released"
    NOTICE_CLOSED = "notice_closed"
    NOTICE_BOT_UNAVAILABLE = "notice_bot_unavailable"


HANDED_OVER = "handed_over"
"""Said by the hand-over action and shown to nobody: it tells a turn that is rightly silent from one that failed."""

RASA_LOST = "rasa_lost"
"""Said by Rasa when it has lost its way (`utter_default` in domain.yml): a failure, not an answer."""


def payload(reply: Reply, *, offers_human: bool = False, **facts: Any) -> dict[str, Any]:
    """What the dialogue sends instead of text. With `offers_human` a button, or a plain yes, fetches an adviser."""
    offer = {"offers_human": True} if offers_human else {}
    return {"response": reply.value, **facts, **offer}


def welcome_payload() -> dict[str, Any]:
    """The first thing said in a new conversation."""
    return payload(Reply.WELCOME)
