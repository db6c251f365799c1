"""The house, put together: every room's parts in one object that the web app and the workers share."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from rasa_sdk.executor import ActionExecutor

import models
import triage
from bot import Dialogue, Renderer, build_executor
from desk import (
    Conversation,
    InboundMail,
    OpeningHours,
    escalate,
    identify,
    make_promise,
)
from faq_kb import Entry, FaqLive
from service.mail_out import Relay
from service.mail_policy import as_triage_policy
from service.mailboxes import Mailboxes
from service.measures import READ_SECONDS, measure_database
from service.settings import ROOT, Settings
from service.understanding import open_encoder, open_faq_live, open_understanding
from store import Database, FileStore, pending_revisions, utc_now

log = structlog.get_logger()

RESPONSES_DIR = ROOT / "bot" / "responses"


class DeskDoor:
    """What the bot's actions may do at the desk."""

    def __init__(self, database: Database, hours: OpeningHours, handling_minutes: int) -> None:
        self._database = database
        self._hours = hours
        self._handling_minutes = handling_minutes

    def language_of(self, conversation_id: str) -> str:
        with self._database.read() as session:
            return session.get_one(Conversation, conversation_id).language

    def customer_of(self, conversation_id: str) -> int | None:
        with self._database.read() as session:
            return session.get_one(Conversation, conversation_id).customer_id

    def hand_over(self, conversation_id: str, reason: str) -> None:
        with self._database.begin() as session:
            promise = make_promise(
                session, conversation_id, self._hours, utc_now(), handling_minutes=self._handling_minutes
            )
            escalate(session, conversation_id, reason=reason, promise=promise)

    def identified(self, conversation_id: str, customer_id: int) -> None:
        with self._database.begin() as session:
            identify(session, conversation_id, customer_id)


@dataclass
class House:
    """Everything that a request or a job needs. Built once a process by `open_house`."""

    settings: Settings
    database: Database
    hours: OpeningHours
    renderer: Renderer
    understanding: models.Understanding
    faq: FaqLive
    dialogue: Dialogue
    relay: Relay
    stopping: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def executor(self) -> ActionExecutor:
        desk_door = DeskDoor(self.database, self.hours, self.settings.handling_minutes)
        return build_executor(
            sessions=self.database.begin, faq=self.faq, desk=desk_door, clock=utc_now, zone=self.hours.zone
        )

    @cached_property
    def mailboxes(self) -> Mailboxes:
        return Mailboxes(self.database, self.settings)

    @cached_property
    def files(self) -> FileStore:
        """The contents of the attachments."""
        return FileStore(self.settings.attachments_dir)

    @cached_property
    def our_side(self) -> triage.OurSide:
        return triage.OurSide(self.settings.mail.our_addresses, self.settings.mail.authserv_id)

    @cached_property
    def mail_policy(self) -> triage.Policy:
        return as_triage_policy(self.settings.mail.policy)

    @cached_property
    def case_signer(self) -> triage.CaseSigner:
        """Marks our mail with its case, and reads the marks of what comes back."""
        mail = self.settings.mail
        return triage.CaseSigner(self.settings.case_key, mail.address, mail.plus_addressing)

    def compose(
        self, conversation: Conversation, mail: InboundMail, agent_name: str, subject: str, text: str
    ) -> triage.Composed:
        """An agent's reply to `mail` as a finished message; raises ValueError when its address cannot be written to."""
        read = triage.read_mail(mail.raw)
        return triage.compose(
            sender=self.settings.mail.address,
            sender_name=f"{agent_name}, {self.settings.mail.sender_name}",
            recipient=conversation.contact or read.reply_to or read.from_address,
            subject=subject,
            text=text,
            language=conversation.language,
            now=utc_now(),
            # An id that we made up ourselves is known to nobody else.
            answers=None if read.message_id_made else read.message_id,
            references=read.thread_ids,
            case=self.case_signer.marks(conversation.id),
        )

    def compose_automatic(self, conversation: Conversation, read: triage.Mail, reply: triage.Draft) -> triage.Composed:
        """A reply that no agent reads, as a finished message to the sender of `read`; raises ValueError as `compose` does."""
        return triage.compose(
            sender=self.settings.mail.address,
            sender_name=self.settings.mail.sender_name,
            recipient=read.from_address,
            subject=reply.subject,
            text=reply.text,
            language=reply.language,
            now=utc_now(),
            answers=None if read.message_id_made else read.message_id,
            references=read.thread_ids,
            automatic=True,
            case=self.case_signer.marks(conversation.id),
        )

    def read_chat(self, text: str, language_hint: str | None) -> models.ChatReading:
        """Understand one chat message; `language_hint` is the conversation's language."""
        with READ_SECONDS.time():
            return self.understanding.read_chat(text, language_hint)

    def faq_entries(self, language: str) -> list[Entry]:
        """One entry a slug, in `language` where there is one, by title."""
        content = self.faq.content
        found = (content.entry(slug, (language,)) for slug in {slug for _, slug in content.entries})
        return sorted((entry for entry in found if entry is not None), key=lambda entry: entry.title)

    def render(self, payload: Mapping[str, Any], language: str) -> dict[str, Any]:
        """A bot payload (`response` and its facts) as the body of a message event: with `text` and `buttons`."""
        rendered = self.renderer.render(payload, language)
        buttons = [{"title": button.title, "text": button.text} for button in rendered.buttons]
        body = {"response": payload["response"], "text": rendered.text, "buttons": buttons}
        # An agent can say that an answer was wrong only when it is known which entry it came from.
        return body | ({"slug": payload["slug"]} if "slug" in payload else {})

    def rasa_up(self) -> bool:
        return self.dialogue.is_ready()

    def readiness(self) -> dict[str, bool]:
        """Which parts work: `database` (reachable and migrated), `understanding`, `faq`, `rasa`."""
        try:
            database = not pending_revisions(self.database)
        except Exception:
            log.exception("database is not ready")
            database = False
        return {
            "database": database,
            "understanding": True,
            "faq": self.faq.entry_count > 0,
            "rasa": self.rasa_up(),
        }


def open_house(settings: Settings) -> House:
    """Build a house: loads the models (two seconds) and the FAQ; starts nothing."""
    encoder = open_encoder(settings)
    database = Database(settings.database)
    measure_database(database)
    return House(
        settings=settings,
        database=database,
        hours=settings.hours.calendar(),
        renderer=Renderer(RESPONSES_DIR, ZoneInfo(settings.hours.zone)),
        understanding=open_understanding(settings, encoder),
        faq=open_faq_live(settings, encoder),
        dialogue=Dialogue(f"http://127.0.0.1:{settings.rasa_port}", settings.turn_timeout_seconds),
        relay=Relay.from_settings(settings.mail, settings.sink_dir),
    )
