"""What the console needs of the rest of the house, passed in by whoever wires it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from desk.mailboxes import MailboxAlarm
from desk.tables import Conversation, InboundMail
from store import Database, FileStore


class ComposedMail(Protocol):
    """A finished reply: `raw` goes to the envelope recipient `recipient`."""

    @property
    def message_id(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def raw(self) -> bytes: ...


class Compose(Protocol):
    """Write an agent's reply to `mail` as a message; raises ValueError when its address cannot be written to."""

    def __call__(
        self, conversation: Conversation, mail: InboundMail, agent_name: str, subject: str, text: str
    ) -> ComposedMail: ...


class FaqEntry(Protocol):
    """One entry of the FAQ that an answer can come from."""

    @property
    def slug(self) -> str: ...
    @property
    def title(self) -> str: ...


class ContentMistake(Protocol):
    """What is wrong in an FAQ content file; the message names the remedy."""

    @property
    def file(self) -> object: ...
    @property
    def line(self) -> int: ...
    @property
    def message(self) -> str: ...


@dataclass(frozen=True)
class ConsoleDoors:
    """The doors of the console.

    `sent_mails` lists the demo sink's mails (`name`, `at`, `to`, `subject`), newest first, and `sent_mail` gives one raw;
    both are shown only with `demo`. `motives` are the motives that a message may be corrected to, `faq_entries` the FAQ's
    entries with their titles in a language, `understood` the motive or intent that the models read in a chat message
    (text, language). `html` makes safe HTML of Markdown. `zone` is where agents read the time. At most
    `streams` browsers are kept informed by an open stream, the others ask every few seconds; `stopping` ends the streams.
    `files` holds the attachments' contents. `mailbox_alarms` are the mailboxes that nobody reads at the moment. `open_kept`
    makes a case of a mail that has none (its id) and gives the case's id, None when somebody else was faster. `redraft` writes
    the draft for a filed mail anew, with what is true now; None where the one that is kept stands.
    """

    database: Database
    compose: Compose
    content_mistakes: Callable[[], Sequence[ContentMistake]]
    sent_mails: Callable[[], Sequence[Mapping[str, Any]]]
    sent_mail: Callable[[str], bytes | None]
    demo: bool
    rasa_up: Callable[[], bool]
    motives: Sequence[str]
    faq_entries: Callable[[str], Sequence[FaqEntry]]
    understood: Callable[[str, str], str]
    html: Callable[[str], str]
    open_kept: Callable[[int], str | None]
    files: FileStore
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Paris"))
    streams: int = 12
    stopping: threading.Event = field(default_factory=threading.Event)
    mailbox_alarms: Callable[[], Sequence[MailboxAlarm]] = tuple
    redraft: Callable[[InboundMail], Mapping[str, str] | None] = lambda mail: None
