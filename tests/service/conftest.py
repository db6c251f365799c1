"""A house on the trained models, without Rasa: the web app as a client sees it, the workers as functions."""

from __future__ import annotations

import socket
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.settings import RateLimits, Settings
from service.web import create_app
from service.wiring import House, open_house
from store import Database


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_for(folder: Path, **values: Any) -> Settings:
    generous = RateLimits(**dict.fromkeys(("conversations", "messages", "faq", "orders", "login"), "10000 per minute"))
    return Settings(
        data_dir=folder,
        rasa_port=free_port(),
        secret_key="s" * 40,
        identity_key="i" * 40,
        **{"limits": generous, **values},
    )


@pytest.fixture(scope="session")
def models_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The learned parts, loaded once."""
    return open_house(settings_for(tmp_path_factory.mktemp("house")))


@pytest.fixture
def house(models_house: House, demo_shop: Database) -> House:
    """A house of its own on a seeded database file."""
    return replace(models_house, database=demo_shop)


@pytest.fixture
def client(house: House) -> FlaskClient:
    return create_app(house).test_client()


@dataclass
class Chat:
    """A shopper's conversation over the API."""

    client: FlaskClient
    id: str
    token: str

    @classmethod
    def open(cls, client: FlaskClient, **body: Any) -> Chat:
        opened = client.post("/api/v1/chat/conversations", json={"language": "fr", **body})
        assert opened.status_code == 201, opened.text
        return cls(client, opened.json["id"], opened.json["token"])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def say(self, text: str, client_id: str | None = None) -> Any:
        body = {"client_id": client_id or str(uuid.uuid4()), "text": text}
        return self.client.post(f"/api/v1/chat/conversations/{self.id}/messages", json=body, headers=self.headers)

    def events(self, after: int = 0) -> dict[str, Any]:
        answer = self.client.get(f"/api/v1/chat/conversations/{self.id}/events?after={after}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        events: dict[str, Any] = answer.json
        return events


@pytest.fixture
def chat(client: FlaskClient) -> Chat:
    return Chat.open(client)
