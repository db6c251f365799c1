"""The chat API: stored before acknowledged, once per client_id, and a human whenever asked, with Rasa down throughout."""

import threading
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from bot import Reply, payload
from desk import BOT_TURN, Actor, Conversation, Event, EventKind, Owner, add_bot_replies, claim_conversation, close
from service import worker
from service.demo import add_demo_agents
from service.understanding import unanswered_questions
from service.wiring import House
from store import Job, JobState
from tests.service.conftest import Chat


def test_a_message_is_in_the_database_when_it_is_acknowledged(chat: Chat, house: House) -> None:
    stored = chat.say("où en est ma commande ?")
    assert stored.status_code == 201
    with house.database.read() as session:
        row = session.get_one(Event, (chat.id, stored.json["number"]))
        assert row.body["text"] == "où en est ma commande ?"
        job = session.scalars(select(Job).where(Job.kind == BOT_TURN)).one()
        assert job.state == JobState.WAITING


def test_a_message_that_cannot_be_stored_is_not_acknowledged(chat: Chat, house: House) -> None:
    with house.database.begin() as session:
        session.execute(Event.__table__.delete())  # type: ignore[attr-defined]
        session.execute(Conversation.__table__.delete())  # type: ignore[attr-defined]
    assert chat.say("bonjour").status_code == 401


def test_the_same_client_id_is_one_row_even_from_eight_threads(client: FlaskClient, chat: Chat, house: House) -> None:
    client_id = str(uuid.uuid4())
    numbers: list[int] = []

    def send() -> None:
        other = Chat(client.application.test_client(), chat.id, chat.token)
        numbers.append(other.say("bonjour", client_id).json["number"])

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(numbers) == 8
    assert len(set(numbers)) == 1
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job).where(Job.kind == BOT_TURN)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "je veux parler à quelqu'un",
        "PASSEZ MOI UN CONSEILLER",
        "y a quelqu'un de réel ?",
        "I want to talk to a human",
        "can someone call me back please",
        "Parler à un conseiller",
    ],
)
def test_asking_for_a_human_queues_at_once_while_rasa_is_down(chat: Chat, text: str) -> None:
    chat.say(text)
    after = chat.events()
    assert after["owner"] == Owner.QUEUE
    notice = after["events"][-1]
    assert notice["name"] == "escalated"
    assert notice["text"]


def test_the_button_queues_and_tells_the_place(chat: Chat, client: FlaskClient) -> None:
    other = Chat.open(client)
    other.client.post(f"/api/v1/chat/conversations/{other.id}/human", headers=other.headers)
    asked = chat.client.post(f"/api/v1/chat/conversations/{chat.id}/human", headers=chat.headers)
    assert asked.status_code == 202
    assert asked.json["owner"] == Owner.QUEUE
    assert asked.json["position"] == 2


def test_the_bot_is_silent_once_a_human_is_asked_for(chat: Chat, house: House) -> None:
    chat.say("où en est ma commande ?")
    chat.say("non, je veux un humain")
    before = len(chat.events()["events"])
    assert worker.run_one(house, [BOT_TURN])
    chat.say("vous êtes là ?")
    assert not worker.run_one(house, [BOT_TURN]), "a queued conversation gives the bot no work"
    spoken = [event for event in chat.events()["events"][before:] if event["from"] == Actor.BOT]
    assert spoken == []


def test_after_closing_the_bot_is_back(chat: Chat, house: House) -> None:
    chat.say("un conseiller s'il vous plaît")
    with house.database.begin() as session:
        add_demo_agents(session)
        assert claim_conversation(session, chat.id, 1)
        assert close(session, chat.id, 1, seen=10**6)
    assert chat.events()["owner"] == Owner.BOT
    chat.say("où en est ma commande ?")
    with house.database.read() as session:
        assert session.scalars(select(Job).where(Job.kind == BOT_TURN)).one().state == JobState.WAITING


def test_while_rasa_is_down_the_shopper_is_told_once_and_can_reach_a_human(chat: Chat, house: House) -> None:
    chat.say("où en est ma commande ?")
    for _ in range(worker.BOT_TRIES):
        with house.database.begin() as session:
            for job in session.scalars(select(Job).where(Job.kind == BOT_TURN)):
                job.due_at = job.created_at
        assert worker.run_one(house, [BOT_TURN])
    replies = [event for event in chat.events()["events"] if event["from"] == Actor.BOT][1:]
    assert len(replies) == 1
    assert replies[0]["buttons"], "a human is offered"
    assert not worker.run_one(house, [BOT_TURN])


def test_a_strangers_token_opens_nothing(chat: Chat, client: FlaskClient) -> None:
    stranger = Chat(client, chat.id, Chat.open(client).token)
    assert stranger.say("bonjour").status_code == 401
    assert client.get(f"/api/v1/chat/conversations/{chat.id}/events").status_code == 401


def test_a_stream_resumes_after_the_last_event_id(chat: Chat) -> None:
    chat.say("premier message")
    last = chat.events()["last"]
    chat.say("second message")
    stream = chat.client.get(
        f"/api/v1/chat/conversations/{chat.id}/events",
        headers={**chat.headers, "Accept": "text/event-stream", "Last-Event-ID": str(last)},
        buffered=False,
    )
    body = ""
    for chunk in stream.response:
        body += chunk.decode() if isinstance(chunk, bytes) else chunk
        if "second message" in body:
            break
    stream.close()
    assert "premier message" not in body
    assert f"id: {last + 1}" in body


def test_the_language_follows_the_shopper(chat: Chat, house: House) -> None:
    chat.say("Hello, could you please tell me where my order is? I have been waiting for a week.")
    with house.database.read() as session:
        assert session.get_one(Conversation, chat.id).language == "en"


@pytest.mark.parametrize("body", [{}, {"client_id": "x", "text": "a"}, {"client_id": str(uuid.uuid4()), "text": ""}])
def test_a_malformed_message_is_refused_with_a_reason(chat: Chat, body: dict[str, str]) -> None:
    answer = chat.client.post(f"/api/v1/chat/conversations/{chat.id}/messages", json=body, headers=chat.headers)
    assert answer.status_code == 422
    assert answer.json["detail"]


def test_a_customer_signed_in_at_the_shop_is_known(client: FlaskClient, house: House) -> None:
    from datetime import timedelta

    import jwt

    from shop import DEMO_EMAIL
    from store import utc_now

    token = jwt.encode({"email": DEMO_EMAIL, "exp": utc_now() + timedelta(minutes=5)}, "i" * 40, "HS256")
    chat = Chat.open(client, identity_token=token)
    with house.database.read() as session:
        assert session.get_one(Conversation, chat.id).customer_id == 1
    forged = client.post("/api/v1/chat/conversations", json={"identity_token": token[:-4] + "AAAA"})
    assert forged.status_code == 401


def test_events_are_numbered_without_gaps(chat: Chat, house: House) -> None:
    for text in ("un", "deux", "un conseiller svp", "trois"):
        chat.say(text)
    with house.database.read() as session:
        numbers = session.scalars(select(Event.number).where(Event.conversation_id == chat.id)).all()
        assert list(numbers) == list(range(1, len(numbers) + 1))
        assert EventKind.ESCALATED in session.scalars(select(Event.kind).where(Event.conversation_id == chat.id)).all()


def test_what_the_bot_did_not_know_shows_up_as_a_gap(chat: Chat, house: House) -> None:
    chat.say("quelle est la capitale de la Mongolie ?")
    with house.database.begin() as session:
        bot_session = session.get_one(Conversation, chat.id).bot_session
        unknown = house.render(payload(Reply.UNKNOWN), "fr")
        assert add_bot_replies(session, chat.id, bot_session=bot_session, replies=[unknown])
    assert unanswered_questions(house.database) == {"quelle est la capitale de la Mongolie ?": 1}


def test_a_message_of_before_an_agents_work_is_not_answered_after_it(chat: Chat, house: House) -> None:
    chat.say("où en est ma commande ?")
    chat.client.post(f"/api/v1/chat/conversations/{chat.id}/human", headers=chat.headers)
    with house.database.begin() as session:
        add_demo_agents(session)
        assert claim_conversation(session, chat.id, 1)
        assert close(session, chat.id, 1, seen=10**6)
    before = chat.events()["last"]
    assert worker.run_one(house, [BOT_TURN])
    assert chat.events()["last"] == before


def test_pressing_the_button_twice_is_one_request(chat: Chat) -> None:
    for _ in range(3):
        chat.client.post(f"/api/v1/chat/conversations/{chat.id}/human", headers=chat.headers)
    assert [event["name"] for event in chat.events()["events"]].count("escalated") == 1
