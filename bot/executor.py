"""Our side of Rasa's action endpoint: all actions, run by rasa-sdk's executor inside our own web app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, tzinfo
from typing import Any

from rasa_sdk.executor import ActionExecutor
from rasa_sdk.interfaces import ActionExecutionRejection, ActionNotFoundException
from sqlalchemy.orm import Session

from bot import answers, forms
from bot.doors import DeskDoor, FaqDoor, World
from bot.render import item_words
from shop import ReturnPolicy

SUGGESTION_FLOOR = 0.15
ACTIONS = (
    forms.ReadTrackingAnswer,
    forms.ReadReturnAnswer,
    forms.AskOrderNumber,
    forms.AskOrderProof,
    forms.AskReturnItem,
    forms.AskReturnConfirmation,
    forms.ShowOrder,
    forms.CreateReturn,
    answers.AnswerQuestion,
    answers.AnswerOutsider,
    answers.Comfort,
    answers.Accept,
    answers.RequestHuman,
)


def build_executor(
    *,
    sessions: Callable[[], AbstractContextManager[Session]],
    faq: FaqDoor,
    desk: DeskDoor,
    clock: Callable[[], datetime],
    zone: tzinfo,
    policy: ReturnPolicy | None = None,
    suggestion_floor: float = SUGGESTION_FLOOR,
) -> ActionExecutor:
    """The executor with every action of domain.yml.

    Args:
        sessions: opens a write transaction on the shop (Database.begin).
        clock: the present, with a time zone.
        zone: the shop's calendar, in which days are told.
        suggestion_floor: FAQ score (0 to 1) from which an entry is suggested when none may be given as the answer.
    """
    world = World(sessions, faq, desk, clock, zone, policy or ReturnPolicy(), item_words(), suggestion_floor)
    executor = ActionExecutor()
    for action in ACTIONS:
        executor.register_action(action(world))
    return executor


def run_action(executor: ActionExecutor, call: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Run one action call of Rasa; the JSON body and the HTTP status of the answer (404: no such action)."""
    try:
        # Our actions do not look at the domain; without this rasa-sdk would insist on being sent it.
        result = asyncio.run(executor.run({"domain": {}, **call}))
    except ActionNotFoundException as error:
        return {"error": str(error), "action_name": error.action_name}, 404
    except ActionExecutionRejection as error:
        return {"error": str(error), "action_name": error.action_name}, 400
    return (result.model_dump() if result is not None else {"events": [], "responses": []}), 200
