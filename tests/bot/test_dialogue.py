"""The client of Rasa: what it sends, and which answers it does not take for answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bot import Dialogue, DialogueUnavailable, safe_text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("/restart", "restart"),
        (" \u00a0/ //restart", "restart"),
        ("\u200b/restart", "restart"),
        ("\ufeff /x", "x"),
        ("et/ou ?", "et/ou ?"),
        ("///", ""),
        ("  ", ""),
        ("bonjour\n", "bonjour"),
        ("👎", "👎"),
    ],
)
def test_text_never_reaches_rasa_as_a_command(text: str, safe: str) -> None:
    assert safe_text(text) == safe


class FakeRasa:
    """Answers every message with `status` and `body`, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.body: Any = [{"recipient_id": "c:1", "custom": {"response": "greet"}}]
        self.received: list[dict[str, Any]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fake.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                data = fake.body if isinstance(fake.body, bytes) else json.dumps(fake.body).encode()
                self.send_response(fake.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def fake() -> Iterator[FakeRasa]:
    fake = FakeRasa()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def dialogue(fake: FakeRasa) -> Dialogue:
    return Dialogue(f"http://127.0.0.1:{fake.server.server_port}", timeout=2)


def test_a_turn_carries_sender_text_and_key(fake: FakeRasa, dialogue: Dialogue) -> None:
    assert dialogue.turn("c:1", "/bonjour", key="c/7") == [{"response": "greet"}]
    assert fake.received == [{"sender": "c:1", "message": "bonjour", "metadata": {"key": "c/7"}}]


def test_an_empty_message_is_answered_without_rasa(fake: FakeRasa, dialogue: Dialogue) -> None:
    assert dialogue.turn("c:1", " / ") == [{"response": "nothing_said"}]
    assert fake.received == []


def test_a_hand_over_is_silent(fake: FakeRasa, dialogue: Dialogue) -> None:
    fake.body = [{"custom": {"response": "handed_over"}}]
    assert dialogue.turn("c:1", "un humain") == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, []),
        (200, []),
        (200, b"<html>"),
        (200, [{"custom": {"response": "rasa_lost"}}]),
        (200, [{"custom": {"response": "greet"}}, {"custom": {"response": "rasa_lost"}}]),
    ],
)
def test_rasas_ways_of_failing_are_failures(fake: FakeRasa, dialogue: Dialogue, status: int, body: Any) -> None:
    fake.status, fake.body = status, body
    with pytest.raises(DialogueUnavailable):
        dialogue.turn("c:1", "bonjour")
