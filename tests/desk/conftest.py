"""The desk of the tests: two agents, and the console in a small Flask app over a real SQLite file."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from markupsafe import escape

import desk
from desk.console import ConsoleDoors, console_blueprint
from store import Database, FileStore
from tests.desk.scenes import PASSWORD, Browser, filed


@pytest.fixture
def database(demo_shop: Database) -> Database:
    """The database with the demo shop's customers and orders in it."""
    return demo_shop


@pytest.fixture
def agents(database: Database) -> tuple[int, int]:
    """Léa and Karim."""
    with database.begin() as session:
        lea = desk.add_agent(session, "lea", "Léa Fontaine", PASSWORD)
        karim = desk.add_agent(session, "karim", "Karim Benali", PASSWORD)
        return lea.id, karim.id


@dataclass(frozen=True)
class Composed:
    message_id: str
    recipient: str
    raw: bytes


@dataclass(frozen=True)
class Mistake:
    file: str
    line: int
    message: str


@dataclass(frozen=True)
class FaqEntry:
    slug: str
    title: str


@dataclass
class World:
    """What the console's doors lead to, for a test to change."""

    mistakes: list[Mistake] = field(default_factory=list)
    rasa_up: bool = True
    mailbox_alarms: list[desk.MailboxAlarm] = field(default_factory=list)
    sent: dict[str, bytes] = field(default_factory=dict)
    intent: str = "order_tracking"


def compose(conversation: Any, mail: Any, agent_name: str, subject: str, text: str) -> Composed:
    if conversation.contact.startswith("nobody"):
        raise ValueError("no such domain")
    message = EmailMessage()
    message["To"], message["Subject"], message["Message-ID"] = conversation.contact, subject, f"<{uuid.uuid4()}@shop>"
    message.set_content(f"{text}\n\n{agent_name}")
    return Composed(message["Message-ID"], conversation.contact, bytes(message))


def open_kept(database: Database, mail_id: int) -> str | None:
    with database.begin() as session:
        opened = desk.open_as_case(session, mail_id, filed(subject="Sans dossier", sorting={}, draft=None))
        return opened.id if opened else None


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "attachments")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def app(database: Database, agents: tuple[int, int], world: World, files: FileStore) -> Flask:
    app = Flask("test")
    app.config.update(SECRET_KEY="only for tests", TESTING=True)
    doors = ConsoleDoors(
        database=database,
        compose=compose,
        content_mistakes=lambda: world.mistakes,
        sent_mails=lambda: [
            {"name": name, "at": datetime.now(UTC), "to": "a@example.org", "subject": "Re"} for name in world.sent
        ],
        sent_mail=world.sent.get,
        demo=True,
        rasa_up=lambda: world.rasa_up,
        mailbox_alarms=lambda: world.mailbox_alarms,
        motives=("order_tracking", "refund", "damaged_or_wrong_item", "other"),
        faq_entries=lambda language: [
            FaqEntry("delivery-times", f"Délais ({language})"),
            FaqEntry("late-parcel", "Colis en retard"),
        ],
        understood=lambda text, language: world.intent,
        html=lambda markdown: f"<p>{escape(markdown)}</p>",
        open_kept=lambda mail_id: open_kept(database, mail_id),
        files=files,
    )
    app.register_blueprint(console_blueprint(doors))
    return app


@pytest.fixture
def browser(app: Flask) -> Callable[..., Browser]:
    """Makes a browser; with a login it is signed in."""

    def open_browser(login: str | None = None) -> Browser:
        made = Browser(app.test_client())
        if login is not None:
            assert made.log_in(login).status_code == 302
        return made

    return open_browser
