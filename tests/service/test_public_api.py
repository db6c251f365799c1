"""FAQ, triage and order status over HTTP; the hooks that only Rasa may call; the OpenAPI document."""

import pytest
from flask.testing import FlaskClient

from service.settings import ACTION_PATH, NLU_PATH
from service.wiring import House
from shop import DEMO_EMAIL, DEMO_ORDER, DEMO_POSTCODE

MAIL = (
    b"From: a@example.org\r\nTo: contact@librairie-tournesol.example\r\nSubject: colis\r\n\r\n"
    b"Ou en est ma commande CMD-2026-104233 ?\r\n"
)


def test_the_faq_answers(client: FlaskClient) -> None:
    found = client.get(
        "/api/v1/faq/search", query_string={"q": "Quels sont les délais de livraison ?", "lang": "fr"}
    ).json
    assert found["answered"]
    assert found["slug"] == "delivery-times"
    assert found["top"][0]["answer_markdown"]


def test_a_question_that_is_nobodys_gets_no_answer(client: FlaskClient) -> None:
    found = client.get("/api/v1/faq/search", query_string={"q": "quel temps fera-t-il demain à Brest ?"}).json
    assert not found["answered"]


def test_a_mail_is_sorted(client: FlaskClient) -> None:
    sorted_ = client.post("/api/v1/triage", data=MAIL, content_type="message/rfc822").json
    assert sorted_["motives"][0]["motive"] == "order_tracking"
    assert sorted_["order_numbers"] == ["CMD-2026-104233"]
    assert sorted_["language"] == "fr"
    assert client.post("/api/v1/triage", data=b"").status_code == 400


@pytest.mark.parametrize("proof", [{"email": DEMO_EMAIL}, {"postcode": DEMO_POSTCODE}])
def test_an_order_is_shown_after_proof(client: FlaskClient, proof: dict[str, str]) -> None:
    shown = client.get(f"/api/v1/orders/{DEMO_ORDER}/status", query_string=proof)
    assert shown.status_code == 200
    assert len(shown.json["parcels"]) == 2


def test_a_wrong_proof_and_an_unknown_order_are_one_answer(client: FlaskClient) -> None:
    wrong = client.get(f"/api/v1/orders/{DEMO_ORDER}/status", query_string={"email": "x@example.org"})
    unknown = client.get("/api/v1/orders/CMD-2026-999999/status", query_string={"email": DEMO_EMAIL})
    assert (wrong.status_code, wrong.json) == (unknown.status_code, unknown.json)
    assert wrong.status_code == 404
    assert client.get(f"/api/v1/orders/{DEMO_ORDER}/status").status_code == 422


def test_guessing_is_stopped(client: FlaskClient) -> None:
    tries = [
        client.get(f"/api/v1/orders/{DEMO_ORDER}/status", query_string={"postcode": f"{75000 + n}"}).status_code
        for n in range(6)
    ]
    assert tries == [404, 404, 404, 404, 429, 429]


@pytest.mark.parametrize("path", [f"{NLU_PATH}/model/parse", ACTION_PATH])
def test_only_rasa_calls_its_hooks(client: FlaskClient, house: House, path: str) -> None:
    assert client.post(path, json={"text": "bonjour"}).status_code == 403
    assert client.post(f"{path}?token=wrong", json={"text": "bonjour"}).status_code == 403


def test_rasa_is_understood(client: FlaskClient, house: House) -> None:
    body = {"text": "où en est ma commande 104233 ?", "token": house.settings.rasa_token}
    parsed = client.post(f"{NLU_PATH}/model/parse", json=body).json
    assert parsed["intent"]["name"] == "order_tracking"
    assert [(entity["entity"], entity["value"]) for entity in parsed["entities"]] == [("order_number", "104233")]


def test_the_api_is_described(client: FlaskClient) -> None:
    paths = client.get("/api/openapi.json").json["paths"]
    assert {
        "/api/v1/chat/conversations",
        "/api/v1/chat/conversations/{conversation_id}/messages",
        "/api/v1/chat/conversations/{conversation_id}/events",
        "/api/v1/chat/conversations/{conversation_id}/human",
        "/api/v1/faq/search",
        "/api/v1/triage",
        "/api/v1/orders/{number}/status",
    } <= paths.keys()


def test_health_tells_what_is_missing(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json["parts"] == {"database": True, "understanding": True, "faq": True, "rasa": False}
    assert b"comptoir_turn_seconds" in client.get("/metrics").data
