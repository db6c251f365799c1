"""Conversation events as the shopper sees them: what is shown, in which words."""

from __future__ import annotations

from typing import Any

import nh3
from markdown_it import MarkdownIt
from sqlalchemy.orm import Session

from bot import Renderer
from desk import Actor, Agent, Event, EventKind

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True})
_TAGS = {"p", "br", "strong", "em", "ul", "ol", "li", "a", "code", "blockquote", "h3", "h4"}

NOTICES = {
    EventKind.ESCALATED: "notice_escalated",
    EventKind.CLAIMED: "notice_claimed",
    EventKind.RELEASED: "notice_released",
    EventKind.CLOSED: "notice_closed",
}


def to_html(markdown: str) -> str:
    """Safe HTML of a Markdown text: no scripts, no images, no attributes but link targets."""
    return nh3.clean(_MARKDOWN.render(markdown), tags=_TAGS, attributes={"a": {"href"}}, link_rel="noopener noreferrer")


def present(session: Session, event: Event, renderer: Renderer, language: str) -> dict[str, Any] | None:
    """One event for the widget, or None when it is no business of the shopper's.

    Keys: `number`, `at` (ISO 8601), `kind` ("message" or "notice"), `name` (the event's kind), `from` ("customer", "bot",
    "agent" or "system"), `agent` (a name, when one acted), `text`, `html` (absent for the customer's own words),
    `buttons`, `client_id`.
    """
    agent = session.get(Agent, event.agent_id) if event.agent_id else None
    if event.kind == EventKind.MESSAGE:
        text = event.body["text"]
        buttons = event.body.get("buttons", [])
        kind = "message"
    elif event.kind in NOTICES:
        facts = {"response": NOTICES[EventKind(event.kind)], "agent": agent.name if agent else "", **event.body}
        rendered = renderer.render(facts, language)
        text = rendered.text
        buttons = [{"title": button.title, "text": button.text} for button in rendered.buttons]
        kind = "notice"
    else:
        return None
    shown = {
        "number": event.number,
        "at": event.at.isoformat(),
        "kind": kind,
        "name": event.kind,
        "from": event.actor,
        "agent": agent.name if agent else None,
        "text": text,
        "buttons": buttons,
        "client_id": event.client_id if event.actor == Actor.CUSTOMER else None,
    }
    if event.actor == Actor.BOT or kind == "notice":
        shown["html"] = to_html(text)
    return shown
