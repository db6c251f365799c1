"""Agents say what was misunderstood; reviewers let it become training text, once and without personal data."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

import desk
from desk import Actor, Correction, CorrectionKind, CorrectionState, EventKind
from store import Database
from tests.desk.conftest import World
from tests.desk.scenes import PROMISE, Browser, file_mail, open_chat

Open = Callable[..., Browser]

QUESTION = "je m'appelle Camille Martin, vous livrez quand ?"


def answered_chat(database: Database) -> tuple[str, int]:
    """A chat in which the assistant answered a question from the FAQ; its id and the answer's number."""
    chat = open_chat(database, QUESTION)
    reply = {"response": "faq_answer", "slug": "delivery-times", "text": "Deux jours.", "buttons": []}
    with database.begin() as session:
        (event,) = desk.add_bot_replies(session, chat, bot_session=1, replies=[reply])
        desk.post_message(session, chat, str(uuid.uuid4()), "mais non !", wants_human=False, promise=PROMISE)
        return chat, event.number


def message_number(database: Database, conversation_id: str) -> int:
    """The number of the first message."""
    with database.read() as session:
        events = desk.events_after(session, conversation_id)
    return next(event.number for event in events if event.kind == EventKind.MESSAGE)


def report(agent: Browser, conversation_id: str, number: int, kind: str, correct: str | None) -> Any:
    return agent.act(conversation_id, "corrections", number=number, kind=kind, correct=correct)


def review(agent: Browser, correction_id: int, verdict: str, **body: Any) -> Any:
    return agent.client.post(
        f"/desk/api/corrections/{correction_id}/{verdict}", json=body, headers={"X-CSRFToken": agent.token}
    )


def only_correction(database: Database) -> Correction:
    with database.read() as session:
        return session.scalars(select(Correction)).one()


# ---- recording


def test_a_wrong_answer_is_kept_with_the_question_it_answered(
    browser: Open, database: Database, agents: tuple[int, int]
) -> None:
    chat, number = answered_chat(database)

    said = report(browser("lea"), chat, number, "answer", "late-parcel")

    assert said.status_code == 200
    assert (said.json["state"], said.json["waiting"]) == ("pending", 1)
    assert "Colis en retard" in said.json["html"]
    row = only_correction(database)
    assert (row.conversation_id, row.event_number, row.kind, row.channel) == (chat, number, "answer", "chat")
    assert (row.text, row.language, row.predicted, row.correct) == (QUESTION, "fr", "delivery-times", "late-parcel")
    assert row.agent_id == agents[0]
    assert row.created_at is not None


def test_a_question_may_have_no_right_answer(browser: Open, database: Database) -> None:
    chat, number = answered_chat(database)

    assert report(browser("lea"), chat, number, "answer", None).status_code == 200

    row = only_correction(database)
    assert row.correct is None
    assert row.predicted == "delivery-times"


def test_a_mails_motive_is_corrected_as_triage_had_read_it(browser: Open, database: Database) -> None:
    case = file_mail(database)

    assert report(browser("lea"), case, message_number(database, case), "motive", "refund").status_code == 200

    row = only_correction(database)
    assert (row.channel, row.predicted, row.correct) == ("mail", "damaged_or_wrong_item", "refund")
    assert row.subject == "Livre abîmé"
    assert "déchirée" in row.text
    assert "Votre colis est en route" not in row.text, "quoted history is nobody's training text"
    assert "06 12 34 56 78" not in row.text, "nor is a signature"


def test_a_chat_messages_motive_is_corrected_against_what_the_models_read(
    browser: Open, database: Database, world: World
) -> None:
    chat = open_chat(database, "rendez-moi mes sous")
    world.intent = "order_tracking"

    assert report(browser("lea"), chat, message_number(database, chat), "motive", "refund").status_code == 200

    assert only_correction(database).predicted == "order_tracking"


def test_the_same_correction_twice_is_one_row(browser: Open, database: Database) -> None:
    case = file_mail(database)
    number = message_number(database, case)

    for login in ("lea", "lea", "karim"):
        assert report(browser(login), case, number, "motive", "refund").status_code == 200

    assert only_correction(database).correct == "refund"


def test_a_later_word_replaces_an_earlier_one_until_it_is_reviewed(
    browser: Open, database: Database, agents: tuple[int, int]
) -> None:
    case, lea, karim = file_mail(database), browser("lea"), browser("karim")
    number = message_number(database, case)
    report(lea, case, number, "motive", "refund")
    assert report(karim, case, number, "motive", "other").status_code == 200
    row = only_correction(database)
    assert (row.correct, row.agent_id) == ("other", agents[1])
    review(lea, row.id, "accept", correct="other", subject="s", text="t")

    late = report(karim, case, number, "motive", "refund")

    assert late.status_code == 409
    assert late.json["message"] == "Cette correction a déjà été relue."
    assert only_correction(database).correct == "other"


@pytest.mark.parametrize(
    ("kind", "correct"),
    [
        ("motive", "astrology"),
        ("motive", None),
        ("motive", "late-parcel"),
        ("motive", "damaged_or_wrong_item"),
        ("answer", "late-parcel"),
        ("praise", "refund"),
    ],
)
def test_a_mails_message_takes_another_motive_of_the_shop_and_nothing_else(
    browser: Open, database: Database, kind: str, correct: str | None
) -> None:
    case = file_mail(database)

    response = report(browser("lea"), case, message_number(database, case), kind, correct)

    assert response.status_code == 422
    assert response.json["message"]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Correction)) == 0


def test_only_an_answer_from_the_faq_can_be_wrong(browser: Open, database: Database) -> None:
    chat, number = answered_chat(database)
    with database.begin() as session:
        (greeting,) = desk.add_bot_replies(session, chat, bot_session=1, replies=[{"response": "greet", "text": "Hi"}])
    agent = browser("lea")

    for wrong, correct in ((greeting.number, None), (1, None), (999, None), (number, "no-such-entry")):
        assert report(agent, chat, wrong, "answer", correct).status_code == 422
    assert report(agent, chat, number, "answer", "delivery-times").status_code == 422, "that is what was said"
    assert report(agent, str(uuid.uuid4()), 1, "answer", None).status_code == 404


# ---- review


def test_the_reviewer_takes_personal_data_out_before_accepting(
    browser: Open, database: Database, agents: tuple[int, int]
) -> None:
    chat, number = answered_chat(database)
    report(browser("lea"), chat, number, "answer", "late-parcel")
    karim, row = browser("karim"), only_correction(database)
    page = karim.look("/desk/corrections")
    for shown in ("Camille Martin", "Délais (fr)", "Colis en retard", "Léa Fontaine"):
        assert shown in page

    done = review(karim, row.id, "accept", correct="late-parcel", text=" vous livrez quand ? ")

    assert done.json == {"ok": True, "waiting": 0}
    row = only_correction(database)
    assert (row.state, row.text, row.reviewed_by) == ("accepted", "vous livrez quand ?", agents[1])
    assert row.reviewed_at is not None
    with database.read() as session:
        assert [each.text for each in desk.accepted_corrections(session)] == ["vous livrez quand ?"]
    assert "Camille Martin" not in karim.look("/desk/corrections")


def test_what_is_pending_or_refused_is_never_handed_to_training(browser: Open, database: Database) -> None:
    chat, number = answered_chat(database)
    case, agent = file_mail(database), browser("lea")
    report(agent, chat, number, "answer", None)
    row = only_correction(database)
    report(agent, case, message_number(database, case), "motive", "refund")

    assert review(agent, row.id, "refuse", correct=None).status_code == 200

    with database.read() as session:
        assert desk.accepted_corrections(session) == []
        assert [each.kind for each in desk.pending_corrections(session)] == [CorrectionKind.MOTIVE]


@pytest.mark.parametrize(("first", "told"), [("accept", "accepté"), ("refuse", "écarté")])
def test_of_two_reviewers_the_first_wins(browser: Open, database: Database, first: str, told: str) -> None:
    chat, number = answered_chat(database)
    lea, karim = browser("lea"), browser("karim")
    report(lea, chat, number, "answer", None)
    row = only_correction(database)
    assert review(lea, row.id, first, correct=None, text="vu par Léa").status_code == 200

    for verdict in ("accept", "refuse"):
        late = review(karim, row.id, verdict, correct=None, text="vu par Karim")
        assert late.status_code == 409
        assert late.json["message"] == f"Léa Fontaine a déjà {told} cette correction."

    after = only_correction(database)
    assert after.state == {"accept": CorrectionState.ACCEPTED, "refuse": CorrectionState.REFUSED}[first]
    assert after.text != "vu par Karim"


def test_a_correction_that_changed_under_the_reviewers_eyes_is_not_accepted(browser: Open, database: Database) -> None:
    case, lea, karim = file_mail(database), browser("lea"), browser("karim")
    number = message_number(database, case)
    report(lea, case, number, "motive", "refund")
    row = only_correction(database)
    report(lea, case, number, "motive", "other")

    stale = review(karim, row.id, "accept", correct="refund", subject="s", text="t")

    assert stale.status_code == 409
    assert "vient d’être modifiée" in stale.json["message"]
    assert only_correction(database).state == CorrectionState.PENDING


def test_no_words_are_nothing_to_learn_from(browser: Open, database: Database) -> None:
    chat, number = answered_chat(database)
    agent = browser("lea")
    report(agent, chat, number, "answer", None)
    row = only_correction(database)

    empty = review(agent, row.id, "accept", correct=None, text="   ")

    assert empty.status_code == 422
    assert "aucun mot" in empty.json["message"]
    assert review(agent, row.id, "accept", text="bonjour").status_code == 422, "which correction did they see?"
    assert only_correction(database).state == CorrectionState.PENDING
    assert review(agent, 999, "refuse", correct=None).status_code == 404


def test_pending_corrections_are_json_too(browser: Open, database: Database) -> None:
    chat, number = answered_chat(database)
    agent = browser("lea")
    report(agent, chat, number, "answer", None)

    (listed,) = agent.ask("corrections").json["corrections"]

    assert (listed["conversation_id"], listed["text"], listed["correct"]) == (chat, QUESTION, None)


# ---- who may, and what the pages show


def test_corrections_need_a_login_and_a_csrf_token(browser: Open, database: Database) -> None:
    chat, number = answered_chat(database)
    visitor, agent = browser(), browser("lea")
    assert visitor.client.get("/desk/corrections").status_code == 302
    assert visitor.ask("corrections").status_code == 401
    assert report(visitor, chat, number, "answer", None).status_code == 401
    report(agent, chat, number, "answer", None)
    row = only_correction(database)
    agent.token = "forged"

    assert report(agent, chat, number, "answer", "late-parcel").status_code == 400
    for verdict in ("accept", "refuse"):
        assert review(agent, row.id, verdict, correct=None, text="x").status_code == 400
    after = only_correction(database)
    assert (after.state, after.correct) == (CorrectionState.PENDING, None)


def test_the_transcript_offers_corrections_and_shows_those_made(browser: Open, database: Database) -> None:
    chat, number = answered_chat(database)
    agent = browser("lea")
    page = agent.look(f"/desk/c/{chat}")
    assert page.count('data-correct="answer"') == 1
    assert page.count('data-correct="motive"') == 2, "on both of the shopper's messages"
    assert "À relire" not in page

    report(agent, chat, number, "answer", "late-parcel")

    page = agent.look(f"/desk/c/{chat}")
    assert "Corrigé, à relire : Colis en retard" in page
    assert '<span class="count" data-to-review >1</span>' in page
    review(agent, only_correction(database).id, "accept", correct="late-parcel", text="x")
    page = agent.look(f"/desk/c/{chat}")
    assert "Corrigé : Colis en retard" in page
    assert 'data-correct="answer"' not in page
    assert '<span class="count" data-to-review hidden>0</span>' in page


def test_hostile_words_stay_words_on_the_review_page(browser: Open, database: Database) -> None:
    evil = "</textarea><script>alert(1)</script>"
    case, agent = file_mail(database, subject=evil, text=evil), browser("lea")
    report(agent, case, message_number(database, case), "motive", "refund")

    page = agent.look("/desk/corrections")

    assert "<script>alert" not in page
    assert "&lt;/textarea&gt;" in page


def test_an_agents_own_messages_are_nothing_to_correct(browser: Open, database: Database) -> None:
    chat, agent = open_chat(database, "un humain svp", queued=True), browser("lea")
    agent.act(chat, "claim")
    agent.reply(chat, "Bonjour")
    with database.read() as session:
        said = next(event for event in desk.events_after(session, chat) if event.actor == Actor.AGENT and event.body)

    for kind in ("motive", "answer"):
        assert report(agent, chat, said.number, kind, "refund" if kind == "motive" else None).status_code == 422
