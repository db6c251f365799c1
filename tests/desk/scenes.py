"""Scenes at the desk: a chat, a mail, and what a browser does there."""

from __future__ import annotations

import uuid
from typing import Any

from flask.testing import FlaskClient

import desk
import shop
from store import Database

PASSWORD = "un mot de passe"
PROMISE = desk.Promise(position=1, wait_minutes=4, opens_at=None)


def open_chat(database: Database, *messages: str, language: str = "fr", queued: bool = False) -> str:
    """A chat in which the shopper wrote `messages`."""
    with database.begin() as session:
        conversation, _ = desk.open_chat(session, language)
        for text in messages:
            desk.post_message(session, conversation.id, str(uuid.uuid4()), text, wants_human=False, promise=PROMISE)
        if queued:
            desk.escalate(session, conversation.id, reason="asked", promise=PROMISE)
        return conversation.id


def filed(**changes: Any) -> desk.FiledMail:
    """A read mail of Camille Martin's, with `changes`."""
    values: dict[str, Any] = {
        "message_id": f"<{uuid.uuid4()}@example.org>",
        "thread_ids": (),
        "sender": shop.DEMO_EMAIL,
        "reply_to": shop.DEMO_EMAIL,
        "subject": "Livre abîmé",
        "language": "fr",
        "text": f"La couverture de ma commande {shop.DEMO_ORDER} est déchirée.",
        "quoted": "> Votre colis est en route",
        "signature": "Camille Martin\n06 12 34 56 78",
        "attachments": (desk.FiledAttachment("photo.jpg", "image/jpeg", 240_000, None, "too_big"),),
        "defects": (),
        "sorting": {
            "motives": [
                {"motive": "damaged_or_wrong_item", "probability": 0.93},
                {"motive": "refund", "probability": 0.21},
            ],
            "wants_human": False,
            "wants_human_probability": 0.04,
            "order_numbers": [shop.DEMO_ORDER],
            "language": "fr",
            "action": "draft",
        },
        "draft": {"subject": "Re: Livre abîmé", "text": "Bonjour, nous vous renvoyons un exemplaire."},
        "silent": False,
    }
    return desk.FiledMail(**(values | changes))


def file_mail(database: Database, **changes: Any) -> str:
    """Receive and file one mail; the id of its conversation."""
    with database.begin() as session:
        mail = desk.receive(session, uuid.uuid4().bytes, source="smtp:test")
    with database.begin() as session:
        conversation = desk.file_mail(session, mail.id, filed(**changes))
        assert conversation is not None
        return conversation.id


class Browser:
    """A browser at the desk: a session cookie, and the CSRF token of the page it last looked at."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.token = ""

    def look(self, path: str, **options: Any) -> str:
        response = self.client.get(path, follow_redirects=True, **options)
        text = response.get_data(as_text=True)
        if 'name="csrf-token" content="' in text:
            self.token = text.split('name="csrf-token" content="')[1].split('"')[0]
        return text

    def log_in(self, login: str, password: str = PASSWORD, **form: str) -> Any:
        self.look("/desk/login")
        response = self.client.post(
            "/desk/login", data={"login": login, "password": password, "csrf_token": self.token, **form}
        )
        if response.status_code == 302:
            self.look("/desk/")
        return response

    def ask(self, path: str) -> Any:
        return self.client.get(f"/desk/api/{path}")

    def act(self, conversation_id: str, act: str, **body: Any) -> Any:
        return self.client.post(
            f"/desk/api/conversations/{conversation_id}/{act}", json=body, headers={"X-CSRFToken": self.token}
        )

    def reply(self, conversation_id: str, text: str, client_id: str | None = None, **body: Any) -> Any:
        return self.act(conversation_id, "reply", text=text, client_id=client_id or str(uuid.uuid4()), **body)
