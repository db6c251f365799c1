"""The agents' console as a browser sees it."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask import Flask
from sqlalchemy import func, select

import desk
import shop
from desk import Event, EventKind, OutboundMail, Owner
from desk.console.language import STRINGS_DIR
from store import Database, Job
from tests.desk.conftest import Mistake, World
from tests.desk.scenes import PROMISE, Browser, file_mail, open_chat

Open = Callable[..., Browser]


def owner(database: Database, conversation_id: str) -> str:
    with database.read() as session:
        return desk.load(session, conversation_id).owner


def last(agent: Browser, conversation_id: str) -> int:
    """The number of the last event that `agent`'s page shows."""
    number: int = agent.ask(f"conversations/{conversation_id}").json["last"]
    return number


def write(database: Database, conversation_id: str, text: str) -> None:
    with database.begin() as session:
        desk.post_message(session, conversation_id, str(uuid.uuid4()), text, wants_human=False, promise=PROMISE)


# ---- who may enter


def test_nobody_sees_the_desk_without_a_login(browser: Open, database: Database) -> None:
    chat, visitor = open_chat(database, "secret", queued=True), browser()

    for path in ("/desk/", f"/desk/c/{chat}", "/desk/sent"):
        response = visitor.client.get(path)
        assert response.status_code == 302
        assert response.location.startswith("/desk/login?next=")
    for path in ("list", "notices", f"conversations/{chat}"):
        assert visitor.ask(path).status_code == 401
    assert visitor.client.get("/desk/stream").status_code == 401


def test_an_agent_logs_in_and_out(browser: Open) -> None:
    agent = browser("lea")
    assert "Léa Fontaine" in agent.look("/desk/")

    agent.client.post("/desk/logout", data={"csrf_token": agent.token})

    assert agent.client.get("/desk/").status_code == 302


def test_a_wrong_password_and_an_unknown_login_get_the_same_words(browser: Open) -> None:
    said = [browser().log_in(login, "wrong") for login in ("lea", "nobody")]

    assert [response.status_code for response in said] == [401, 401]
    assert all("Identifiant ou mot de passe incorrect." in response.text for response in said)


def test_a_deactivated_agent_is_out_at_once(browser: Open, database: Database, agents: tuple[int, int]) -> None:
    agent = browser("lea")
    with database.begin() as session:
        session.get_one(desk.Agent, agents[0]).active = False

    assert agent.ask("list").status_code == 401


def test_the_session_cookie_is_closed_to_scripts_and_to_other_sites(browser: Open) -> None:
    cookie = browser().log_in("lea").headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ("/desk/sent", "/desk/sent"),
        ("/desk/?view=mine", "/desk/?view=mine"),
        ("https://evil.example/", "/desk/"),
        ("//evil.example/desk/", "/desk/"),
        ("/\\evil.example", "/desk/"),
        ("/desk/\\..\\..", "/desk/"),
        ("/desk/../admin", "/desk/"),
        ("javascript:alert(1)", "/desk/"),
        ("", "/desk/"),
    ],
)
def test_after_the_login_one_stays_at_the_desk(browser: Open, wanted: str, goes_to: str) -> None:
    assert browser().log_in("lea", next=wanted).location == goes_to


@pytest.mark.parametrize("act", ["claim", "take", "release", "close", "reply"])
def test_nothing_changes_without_a_csrf_token(browser: Open, database: Database, act: str) -> None:
    chat, agent = open_chat(database, "bonjour", queued=True), browser("lea")
    agent.token = "forged"

    response = agent.act(chat, act, text="hello", client_id=str(uuid.uuid4()))

    assert response.status_code == 400
    assert owner(database, chat) == Owner.QUEUE


def test_login_and_logout_need_a_csrf_token(browser: Open) -> None:
    agent = browser("lea")
    agent.client.post("/desk/logout")
    assert agent.client.get("/desk/").status_code == 200, "still logged in"

    response = browser().client.post("/desk/login", data={"login": "lea", "password": "x"}, follow_redirects=True)
    assert "Votre session a expiré" in response.text


def test_the_rest_of_the_app_is_asked_for_no_csrf_token(app: Flask) -> None:
    app.add_url_rule("/api/elsewhere", "elsewhere", lambda: "ok", methods=["POST"])

    assert app.test_client().post("/api/elsewhere").text == "ok"


def test_the_console_stands_in_an_api_app_and_stays_out_of_its_document(app: Flask) -> None:
    api = APIFlask("api", spec_path="/openapi.json")
    api.register_blueprint(app.blueprints["desk"])

    document = api.test_client().get("/openapi.json").json

    assert document["paths"] == {}


def test_pages_forbid_inline_scripts_framing_and_caching(browser: Open) -> None:
    agent = browser("lea")
    response = agent.client.get("/desk/")

    policy = response.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["Cache-Control"] == "no-store"
    assert "<script>" not in response.text
    assert " style=" not in response.text


# ---- the three panes


def test_the_queue_shows_who_waits_and_everything_about_them(browser: Open, database: Database) -> None:
    case = file_mail(database)
    page = browser("lea").look(f"/desk/c/{case}")

    for shown in (
        "Livre abîmé",
        "camille.martin@example.org",
        "photo.jpg",
        "Votre colis est en route",
        "Article abîmé ou erroné",
        "93 %",
        "Non prouvé",
        shop.DEMO_ORDER,
        "Colissimo",
        "Carnet à spirale A5, pointillé",
    ):
        assert shown in page


def test_a_proven_customer_is_shown_as_such(browser: Open, database: Database) -> None:
    chat = open_chat(database, "bonjour", queued=True)
    with database.begin() as session:
        customer = shop.customer_by_email(session, shop.DEMO_EMAIL)
        assert customer is not None
        desk.identify(session, chat, customer.id)

    page = browser("lea").look(f"/desk/c/{chat}")

    assert "Identité prouvée" in page
    assert "Camille Martin" in page
    assert "Non prouvé" not in page


def test_an_order_that_anybody_may_cite_is_marked(browser: Open, database: Database) -> None:
    case = file_mail(database, sender="mallory@example.net", reply_to="mallory@example.net")

    page = browser("lea").look(f"/desk/c/{case}")

    assert "Adresse inconnue de la boutique" in page
    assert "sans preuve qu’elles soient à ce client" in page
    assert shop.DEMO_ORDER in page


def test_the_customers_other_conversations_are_at_hand(browser: Open, database: Database) -> None:
    first, second = file_mail(database, subject="La première"), file_mail(database, subject="La seconde")

    side = browser("lea").ask(f"conversations/{second}").json["side"]

    assert "La première" in side
    assert first in side


def test_each_conversation_stands_in_its_views(browser: Open, database: Database, agents: tuple[int, int]) -> None:
    queued = open_chat(database, "en file", queued=True)
    mine = open_chat(database, "à moi", queued=True)
    closed = open_chat(database, "close", queued=True)
    with_bot = open_chat(database, "au robot")
    machine = file_mail(database, silent=True, sender="mailer-daemon@example.net")
    open_chat(database)
    with database.begin() as session:
        desk.claim_conversation(session, mine, agents[0])
        desk.claim_conversation(session, closed, agents[0])
        desk.close(session, closed, agents[0], seen=10**6)
    agent = browser("lea")

    expected = {
        "queue": {queued},
        "mine": {mine},
        "open": {queued, mine},
        "assistant": {with_bot},
        "closed": {closed},
        "machine": {machine},
    }
    for view, inside in expected.items():
        listed = agent.ask(f"list?view={view}").json["list"]
        assert {each for each in (queued, mine, closed, with_bot, machine) if each in listed} == inside, view


def test_hostile_words_stay_words(browser: Open, database: Database) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    chat = open_chat(database, evil, queued=True)
    case = file_mail(
        database,
        subject=evil,
        text=evil,
        quoted=evil,
        signature=evil,
        attachments=(desk.FiledAttachment(evil, evil, 1, None, "too_big"),),
        defects=(evil,),
        sender=f'"{evil}"@example.org',
    )
    agent = browser("lea")
    agent.act(case, "claim")

    for page in (agent.look(f"/desk/c/{chat}"), agent.look(f"/desk/c/{case}"), agent.look("/desk/?view=mine")):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_long_conversation_is_shown_from_its_end_and_read_backwards(browser: Open, database: Database) -> None:
    chat = open_chat(database, *(f"message {index:03d}" for index in range(230)), queued=True)
    agent = browser("lea")

    newest = agent.ask(f"conversations/{chat}").json
    assert "message 229" in newest["events"]
    assert "message 000" not in newest["events"]
    assert newest["earlier"]

    oldest = agent.ask(f"conversations/{chat}?before={newest['first']}").json
    assert "message 000" in oldest["events"]
    assert not oldest["earlier"]


def test_only_what_is_new_is_sent_again(browser: Open, database: Database) -> None:
    chat = open_chat(database, "premier", queued=True)
    agent = browser("lea")
    last = agent.ask(f"conversations/{chat}").json["last"]
    write(database, chat, "deuxième")

    news = agent.ask(f"conversations/{chat}?after={last}").json

    assert "deuxième" in news["events"]
    assert "premier" not in news["events"]
    assert news["complete"]


def test_an_unknown_conversation_is_said_to_be_unknown(browser: Open) -> None:
    agent = browser("lea")

    assert agent.ask(f"conversations/{uuid.uuid4()}").status_code == 404
    assert "Cette conversation n’existe pas." in agent.look(f"/desk/c/{uuid.uuid4()}")


# ---- acts


def test_claiming_answering_and_closing_a_chat(browser: Open, database: Database) -> None:
    chat, agent = open_chat(database, "un humain svp", queued=True), browser("lea")

    assert agent.act(chat, "claim").status_code == 200
    assert agent.reply(chat, "Bonjour, je suis Léa.").status_code == 200
    assert agent.act(chat, "close", seen=last(agent, chat)).status_code == 200

    with database.read() as session:
        said = [
            event.body["text"] for event in desk.events_after(session, chat) if event.actor == "agent" and event.body
        ]
        assert said == ["Bonjour, je suis Léa."]
        assert desk.load(session, chat).owner == Owner.BOT


def test_closing_over_a_message_just_written_is_refused_in_words(browser: Open, database: Database) -> None:
    chat, agent = open_chat(database, "un humain svp", queued=True), browser("lea")
    agent.act(chat, "claim")
    seen = last(agent, chat)
    write(database, chat, "encore une question")

    refused = agent.act(chat, "close", seen=seen)

    assert refused.status_code == 409
    assert refused.json["message"].startswith("Le client vient d’écrire")
    assert "encore une question" in agent.ask(f"conversations/{chat}?after={seen}").json["events"]
    assert owner(database, chat) == Owner.AGENT
    assert agent.act(chat, "close", seen=last(agent, chat)).status_code == 200
    assert owner(database, chat) == Owner.BOT


def test_an_answer_that_was_to_close_over_a_message_just_written_is_sent_and_closes_nothing(
    browser: Open, database: Database
) -> None:
    chat, agent, key = open_chat(database, "un humain svp", queued=True), browser("lea"), str(uuid.uuid4())
    agent.act(chat, "claim")
    seen = last(agent, chat)
    write(database, chat, "encore une question")

    replies = [agent.reply(chat, "Bonne journée.", key, close=True, seen=seen) for _ in range(2)]

    assert [reply.status_code for reply in replies] == [200, 200]
    assert all("le client vient d’écrire" in reply.json["kept_open"] for reply in replies)
    assert owner(database, chat) == Owner.AGENT
    shown = agent.ask(f"conversations/{chat}?after={seen}").json["events"]
    assert "encore une question" in shown
    assert shown.count("Bonne journée.") == 1


def test_a_mail_that_comes_in_while_its_case_is_answered_keeps_the_case_open(browser: Open, database: Database) -> None:
    case, agent = file_mail(database, message_id="<first@example.org>"), browser("lea")
    agent.act(case, "claim")
    seen = last(agent, case)
    assert file_mail(database, thread_ids=("<first@example.org>",), text="Et la facture ?") == case

    sent = agent.reply(case, "Un exemplaire neuf part ce soir.", subject="Re", close=True, seen=seen)

    assert "kept_open" in sent.json
    assert owner(database, case) == Owner.AGENT
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(OutboundMail)) == 1


@pytest.mark.parametrize("seen", [-1, "all", None])
def test_closing_takes_a_number_of_an_event(browser: Open, database: Database, seen: object) -> None:
    chat, agent = open_chat(database, "un humain svp", queued=True), browser("lea")
    agent.act(chat, "claim")

    assert agent.act(chat, "close", seen=seen).status_code == 400
    assert owner(database, chat) == Owner.AGENT


def test_whoever_claims_too_late_is_told_by_whom(browser: Open, database: Database) -> None:
    chat = open_chat(database, "un humain svp", queued=True)
    browser("karim").act(chat, "claim")

    late = browser("lea").act(chat, "claim")

    assert late.status_code == 409
    assert late.json["message"] == "Karim Benali a pris cette conversation avant vous."


def test_claiming_twice_is_claiming_once(browser: Open, database: Database) -> None:
    chat, agent = open_chat(database, "un humain svp", queued=True), browser("lea")

    assert [agent.act(chat, "claim").status_code for _ in range(2)] == [200, 200]

    with database.read() as session:
        events = desk.events_after(session, chat)
    assert [event.kind for event in events].count(EventKind.CLAIMED) == 1


def test_nobody_answers_in_a_colleagues_conversation(browser: Open, database: Database) -> None:
    chat = open_chat(database, "un humain svp", queued=True)
    browser("karim").act(chat, "claim")
    lea = browser("lea")

    for response in (lea.reply(chat, "moi aussi"), lea.act(chat, "close"), lea.act(chat, "release")):
        assert response.status_code == 409
        assert "Karim Benali" in response.json["message"]


def test_releasing_puts_it_back_into_the_queue(browser: Open, database: Database) -> None:
    chat, agent = open_chat(database, "un humain svp", queued=True), browser("lea")
    agent.act(chat, "claim")

    assert agent.act(chat, "release").status_code == 200
    assert owner(database, chat) == Owner.QUEUE


def test_taking_over_from_the_assistant(browser: Open, database: Database) -> None:
    chat, agent = open_chat(database, "bonjour"), browser("lea")

    assert agent.act(chat, "take").status_code == 200

    assert owner(database, chat) == Owner.AGENT
    assert agent.reply(chat, "Je prends le relais.").status_code == 200


def test_an_answer_sent_twice_is_stored_once(browser: Open, database: Database) -> None:
    chat, agent, client_id = open_chat(database, "un humain svp", queued=True), browser("lea"), str(uuid.uuid4())
    agent.act(chat, "claim")

    assert [agent.reply(chat, "Bonjour", client_id).status_code for _ in range(2)] == [200, 200]

    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Event).where(Event.client_id == client_id)) == 1


@pytest.mark.parametrize(
    "body", [{}, {"text": "x"}, {"text": "", "client_id": "no"}, {"text": "x", "client_id": "1"}, {"text": "   "}]
)
def test_an_answer_that_is_none_is_refused_in_words(browser: Open, database: Database, body: dict[str, str]) -> None:
    chat, agent = open_chat(database, "un humain svp", queued=True), browser("lea")
    agent.act(chat, "claim")

    response = agent.act(chat, "reply", **body)

    assert response.status_code == 422
    assert response.json["message"]


def test_a_drafted_reply_is_edited_and_leaves_once(browser: Open, database: Database) -> None:
    case, agent, key = file_mail(database), browser("lea"), str(uuid.uuid4())
    agent.act(case, "claim")
    composer = agent.ask(f"conversations/{case}").json["composer"]
    assert "Bonjour, nous vous renvoyons un exemplaire." in composer
    assert 'value="Re: Livre abîmé"' in composer
    assert "camille.martin@example.org" in composer
    seen = last(agent, case)

    for _ in range(2):
        sent = agent.reply(
            case, "Un exemplaire neuf part ce soir.", key, subject="Re: Livre abîmé\r\nBcc: x@y", close=True, seen=seen
        )
        assert sent.json == {"ok": True}

    with database.read() as session:
        (mail,) = session.scalars(select(OutboundMail)).all()
        jobs = session.scalar(select(func.count()).select_from(Job).where(Job.kind == desk.SEND_MAIL))
    assert mail.recipient == shop.DEMO_EMAIL
    assert b"Subject: Re: Livre" in mail.raw
    assert b"\nBcc:" not in mail.raw
    assert jobs == 1
    assert owner(database, case) == Owner.BOT


def test_the_draft_is_not_offered_again_once_answered(browser: Open, database: Database) -> None:
    case, agent = file_mail(database), browser("lea")
    agent.act(case, "claim")
    agent.reply(case, "Fait.", subject="Re")

    seen = agent.ask(f"conversations/{case}").json

    assert "nous vous renvoyons un exemplaire" not in seen["composer"]
    assert seen["leaving"]
    assert "En partance" in seen["events"]


def test_an_address_that_cannot_be_written_to_is_said_to_the_agent(browser: Open, database: Database) -> None:
    case, agent = file_mail(database, sender="nobody@nowhere", reply_to="nobody@nowhere"), browser("lea")
    agent.act(case, "claim")

    response = agent.reply(case, "Bonjour", subject="Re")

    assert response.status_code == 422
    assert "nobody@nowhere" in response.json["message"]


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("fr", "Le courriel n’a pas pu partir : à renvoyer"),
        ("en", "The mail could not be sent: send it again"),
    ],
)
def test_a_mail_that_could_not_leave_is_told_in_the_transcript(
    browser: Open, database: Database, language: str, told: str
) -> None:
    case = file_mail(database)
    with database.begin() as session:
        desk.append(session, case, EventKind.ESCALATED, desk.Actor.SYSTEM, {"reason": "unsent"})

    page = browser("lea").look(f"/desk/c/{case}", headers={"Accept-Language": language})

    assert told in page


@pytest.mark.parametrize(("language", "told"), [("fr", "Historique cité"), ("en", "Quoted history")])
def test_the_signature_is_folded_beside_the_quoted_history(
    browser: Open, database: Database, language: str, told: str
) -> None:
    case = file_mail(database, signature="Cordialement,\nCamille Martin\n06 12 34 56 78", quoted="> Votre colis")

    page = browser("lea").look(f"/desk/c/{case}", headers={"Accept-Language": language})

    folded = '<details class="quoted"><summary>{}</summary><div class="text plain">{}</div></details>'
    assert folded.format("Signature", "Cordialement,\nCamille Martin\n06 12 34 56 78") in page
    assert folded.format(told, "&gt; Votre colis") in page


def test_a_mail_filed_without_its_signature_is_shown(browser: Open, database: Database) -> None:
    case = file_mail(database)
    with database.begin() as session:
        message = next(each for each in desk.events_after(session, case) if each.kind == EventKind.MESSAGE)
        message.body = {name: value for name, value in message.body.items() if name != "signature"}

    page = browser("lea").look(f"/desk/c/{case}")

    assert "est déchirée" in page
    assert "Historique cité" in page
    assert "<summary>Signature</summary>" not in page


def test_a_mail_that_could_not_be_sorted_is_shown_listed_and_answered(browser: Open, database: Database) -> None:
    case = file_mail(
        database, sorting={}, draft=None, subject="", text="", quoted="", attachments=(), sender="x@example.net"
    )
    agent = browser("lea")

    page = agent.look(f"/desk/c/{case}")

    assert "(sans objet)" in page
    assert "Tri du courriel" not in page
    assert case in agent.ask("list?view=queue").json["list"]
    agent.act(case, "claim")
    assert agent.reply(case, "Votre courriel est illisible.", subject="Re").status_code == 200


# ---- live


def test_a_new_conversation_in_the_queue_is_told_within_a_second(app: Flask, browser: Open, database: Database) -> None:
    agent = browser("lea")
    response = agent.client.get("/desk/stream", buffered=False)
    stream = iter(response.response)
    assert b"event: hello" in next(stream)
    told: list[tuple[float, bytes]] = []
    reading = threading.Thread(target=lambda: told.append((time.monotonic(), next(stream))))
    reading.start()

    chat = open_chat(database, "un humain svp", queued=True)
    committed = time.monotonic()
    reading.join(5)
    response.close()

    assert told[0][0] - committed < 1.0
    assert chat in told[0][1].decode()
    assert json.loads(told[0][1].decode().split("data: ")[1])["queue"] is True


def test_when_no_stream_is_free_the_browser_is_told_to_ask(database: Database, browser: Open) -> None:
    agent = browser("lea")
    open_streams = [agent.client.get("/desk/stream", buffered=False) for _ in range(12)]

    assert agent.client.get("/desk/stream").status_code == 503

    for response in open_streams:
        response.close()
    freed = agent.client.get("/desk/stream", buffered=False)
    assert freed.status_code == 200
    freed.close()


# ---- what else stands on the screen


def test_mistakes_in_the_faq_and_a_silent_assistant_are_announced(browser: Open, world: World) -> None:
    world.mistakes.append(Mistake("faq_kb/content/fr/livraison.md", 14, 'entry "late-parcel" has no answer'))
    world.rasa_up = False

    page = browser("lea").look("/desk/")

    assert "faq_kb/content/fr/livraison.md:14" in page
    assert "entry &#34;late-parcel&#34; has no answer" in page
    assert "L’assistant ne répond plus." in page


@pytest.mark.parametrize("reason", [*desk.Trouble, "silent", "aside"])
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_mailbox_that_is_not_read_is_announced_with_reason_and_remedy(
    browser: Open, world: World, reason: str, language: str
) -> None:
    since = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
    world.mailbox_alarms.append(desk.MailboxAlarm("sav", reason, "sav at imap.example:993: <no>", since))
    agent = browser("lea")
    headers = {"Accept-Language": language}

    asked = agent.client.get("/desk/api/notices", headers=headers).json["html"]

    for shown in (agent.look("/desk/", headers=headers), asked):
        assert "sav at imap.example:993: &lt;no&gt;" in shown
        assert "notice.mailbox" not in shown, "every reason has its words"
        assert "9:30" in shown


def test_a_mail_too_big_says_that_only_its_beginning_is_here(browser: Open, database: Database) -> None:
    conversation = file_mail(database)
    with database.begin() as session:
        message = session.scalars(
            select(Event).where(Event.conversation_id == conversation, Event.kind == EventKind.MESSAGE)
        ).one()
        message.body = {**message.body, "whole_bytes": 80_400_000}

    assert "Courriel trop gros (80 Mo)" in browser("lea").look(f"/desk/c/{conversation}")


def test_the_demo_shows_the_mails_it_sent(browser: Open, world: World) -> None:
    world.sent["20261122T070000.000000"] = b"To: a@example.org\r\nSubject: Re: Livre\r\n\r\nBonjour <b>vous</b>"
    agent = browser("lea")

    assert "20261122T070000.000000" in agent.look("/desk/sent")
    page = agent.look("/desk/sent/20261122T070000.000000")
    assert "Bonjour &lt;b&gt;vous&lt;/b&gt;" in page
    assert agent.client.get("/desk/sent/other").status_code == 404


@pytest.mark.parametrize(
    ("accepted", "title"),
    [(None, "File d’attente"), ("en-GB,en;q=0.9", "Queue"), ("pt, en;q=0.5", "Queue"), ("zh", "File d’attente")],
)
def test_the_desk_speaks_the_browsers_language(browser: Open, accepted: str | None, title: str) -> None:
    agent = browser("lea")

    assert title in agent.look("/desk/", headers={"Accept-Language": accepted} if accepted else {})


@pytest.mark.parametrize("path", sorted(STRINGS_DIR.glob("*.json")), ids=lambda path: path.stem)
def test_every_language_has_the_same_texts(path: Path) -> None:
    french = json.loads((STRINGS_DIR / "fr.json").read_text(encoding="utf-8"))
    texts = json.loads(path.read_text(encoding="utf-8"))

    assert texts.keys() == french.keys()
    for key, text in texts.items():
        assert placeholders(text) == placeholders(french[key]), key


def placeholders(text: str) -> set[str]:
    return {part.partition("}")[0] for part in text.split("{")[1:]}
