"""The chat API: conversations, messages, the event stream, and the request for a human."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

from apiflask import APIBlueprint, abort
from flask import Response, request, stream_with_context
from pydantic import BaseModel, Field, field_validator

from bot import welcome_payload
from desk import (
    Actor,
    Conversation,
    EventKind,
    append,
    conversation_topic,
    escalate,
    events_after,
    make_promise,
    may_enter,
    open_chat,
    post_message,
)
from service.limits import limiter
from service.measures import database_time
from service.presentation import present
from service.wiring import House
from shop import BadIdentityToken, customer_from_token
from store import utc_now

STREAM_SECONDS = 600
SURE_OF_A_LANGUAGE = 0.8
"""The probability from which a message takes the conversation into another language."""
"""A stream ends after this long; the client resumes where it was."""
LOOK_AGAIN_SECONDS = 5.0
"""The bell may be missed, rows may not: streams look at the rows this often in any case."""


class NewConversation(BaseModel):
    language: Literal["fr", "en", "de", "es", "it"] | None = None
    identity_token: str | None = Field(default=None, max_length=4000)


class OpenedConversation(BaseModel):
    id: str
    token: str
    language: str


class NewMessage(BaseModel):
    client_id: UUID
    text: str = Field(min_length=1, max_length=4000)

    @field_validator("text")
    @classmethod
    def _storable(cls, text: str) -> str:
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError("holds a NUL or half a character; send plain text")
        return text


class StoredMessage(BaseModel):
    number: int
    client_id: str
    at: str


class Queued(BaseModel):
    owner: str
    position: int
    wait_minutes: int
    opens_at: str | None


def chat_blueprint(house: House) -> APIBlueprint:
    """The routes under `/api/v1/chat`."""
    chat = APIBlueprint("chat", __name__, url_prefix="/api/v1/chat", tag="Chat")
    streams = threading.BoundedSemaphore(house.settings.threads // 2)

    @chat.post("/conversations")
    @limiter.limit(house.settings.limits.conversations)
    @chat.input(NewConversation)
    @chat.output(OpenedConversation, status_code=201)
    @chat.doc(summary="Open a conversation", responses=[401])
    def open_conversation(json_data: NewConversation) -> dict[str, Any]:
        language = json_data.language or house.settings.default_language
        with house.database.begin() as session:
            customer_id = None
            if json_data.identity_token:
                try:
                    customer_id = customer_from_token(session, json_data.identity_token, house.settings.identity_key).id
                except BadIdentityToken as error:
                    abort(401, str(error))
            conversation, token = open_chat(session, language, customer_id=customer_id)
            append(session, conversation.id, EventKind.MESSAGE, Actor.BOT, house.render(welcome_payload(), language))
        return {"id": conversation.id, "token": token, "language": language}

    @chat.post("/conversations/<conversation_id>/messages")
    @limiter.limit(house.settings.limits.messages, key_func=lambda: (request.view_args or {})["conversation_id"])
    @chat.input(NewMessage)
    @chat.output(StoredMessage, status_code=201)
    @chat.doc(summary="Send a message; the same client_id again gives the same row", security="token", responses=[401])
    def send_message(conversation_id: str, json_data: NewMessage) -> dict[str, Any]:
        language = _enter(conversation_id).language
        reading = house.read_chat(json_data.text, language)
        with database_time("message"), house.database.begin() as session:
            event = post_message(
                session,
                conversation_id,
                str(json_data.client_id),
                json_data.text,
                wants_human=reading.wants_human,
                promise=_promise(session, conversation_id),
                language=reading.language if reading.language_probability >= SURE_OF_A_LANGUAGE else None,
            )
        return {"number": event.number, "client_id": str(json_data.client_id), "at": event.at.isoformat()}

    @chat.get("/conversations/<conversation_id>/events")
    @chat.doc(
        summary="Events after a number, as JSON, or as a stream when Accept is text/event-stream",
        security="token",
        responses={401: "Bad token", 503: "No stream free; ask for JSON"},
    )
    def events(conversation_id: str) -> Response | dict[str, Any]:
        _enter(conversation_id)
        after = _number(request.headers.get("Last-Event-ID") or request.args.get("after", "0"))
        if "text/event-stream" not in request.headers.get("Accept", ""):
            shown, last, owner = _events(conversation_id, after)
            return {"events": shown, "last": last, "owner": owner}
        if not streams.acquire(blocking=False):
            abort(503, "all streams are taken; ask for JSON every few seconds", headers={"Retry-After": "3"})
        response = Response(stream_with_context(_stream(conversation_id, after)), mimetype="text/event-stream")
        response.call_on_close(streams.release)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        return response

    # No limit: asking for a human is never refused, and asking again changes nothing.
    @chat.post("/conversations/<conversation_id>/human")
    @chat.output(Queued, status_code=202)
    @chat.doc(summary="Ask for a human", security="token", responses=[401])
    def human(conversation_id: str) -> dict[str, Any]:
        _enter(conversation_id)
        with house.database.begin() as session:
            promise = _promise(session, conversation_id)
            escalate(session, conversation_id, reason="button", promise=promise)
            owner = session.get_one(Conversation, conversation_id).owner
        return {"owner": owner, **promise.to_dict()}

    def _enter(conversation_id: str) -> Conversation:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        with house.database.read() as session:
            conversation = may_enter(session, conversation_id, token if scheme.lower() == "bearer" else "")
        if conversation is None:
            abort(401, "this conversation is not open to this token; open a new one")
        return conversation

    def _promise(session: Any, conversation_id: str) -> Any:
        return make_promise(
            session, conversation_id, house.hours, utc_now(), handling_minutes=house.settings.handling_minutes
        )

    def _events(conversation_id: str, after: int) -> tuple[list[dict[str, Any]], int, str]:
        with house.database.read() as session:
            conversation = session.get_one(Conversation, conversation_id)
            rows = events_after(session, conversation_id, after)
            shown = [present(session, row, house.renderer, conversation.language) for row in rows]
            last = rows[-1].number if rows else after
            return [event for event in shown if event is not None], last, conversation.owner

    def _stream(conversation_id: str, after: int) -> Iterator[str]:
        ends = time.monotonic() + STREAM_SECONDS
        quiet = 0
        with house.database.bell.listen(conversation_topic(conversation_id)) as listener:
            yield "retry: 1500\n\n"
            while time.monotonic() < ends and not house.stopping.is_set():
                shown, last, owner = _events(conversation_id, after)
                for event in shown:
                    yield f"id: {event['number']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
                if last != after:
                    yield f"id: {last}\nevent: owner\ndata: {json.dumps({'owner': owner})}\n\n"
                    after = last
                    continue
                rang = listener.wait(LOOK_AGAIN_SECONDS)
                quiet = 0 if rang else quiet + 1
                if quiet and quiet % 3 == 0:
                    yield ": still here\n\n"

    return chat


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        abort(400, f'"after" is "{text[:20]}"; it must be the number of the last event you have')
    return int(text)
