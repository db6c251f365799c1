"""What becomes of a mail of ours, and what an agent can do about it; and the mail that belongs to no case."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import select

import desk
import shop
from desk import EventKind, InboundMail, MailKind, OutboundMail, OutboundState, Owner
from store import Database, Job, JobState
from tests.desk.scenes import Browser, file_mail, filed
from tests.desk.test_conversations import at_once

Open = Callable[..., Browser]


@pytest.fixture
def case(database: Database) -> str:
    return file_mail(database)


def out(database: Database, case: str) -> int:
    with database.begin() as session:
        known = {"key": "k", "conversation_id": case, "message_id": "<o@shop>", "recipient": shop.DEMO_EMAIL}
        mail_id = desk.put_out(session, **known, raw=b"").id
        assert desk.put_out(session, **known, raw=b"").id == mail_id
        desk.append(
            session, case, EventKind.MESSAGE, desk.Actor.AGENT, {"text": "Voici", "mail_id": mail_id, "to": "x"}
        )
        return mail_id


def state(database: Database, mail_id: int) -> str:
    with database.read() as session:
        return session.get_one(OutboundMail, mail_id).state


def do(database: Database, act: Callable[..., object], *values: object) -> object:
    with database.begin() as session:
        return act(session, *values)


def give_up_the_job(database: Database) -> None:
    with database.begin() as session:
        session.scalars(select(Job).where(Job.kind == desk.SEND_MAIL)).one().state = JobState.FAILED


def test_only_one_worker_begins_to_send_a_mail(database: Database, case: str) -> None:
    mail_id = out(database, case)
    assert sorted(map(bool, at_once(*[lambda: do(database, desk.begin_sending, mail_id)] * 2))) == [False, True]
    assert state(database, mail_id) == OutboundState.SENDING


def test_given_up_it_is_not_sent_unless_it_was_in_flight(database: Database, case: str) -> None:
    mail_id = out(database, case)
    do(database, desk.begin_sending, mail_id)
    do(database, desk.give_up_sending, mail_id, "no worker outlived it")
    assert state(database, mail_id) == OutboundState.DOUBTFUL
    with database.read() as session:
        assert desk.load(session, case).owner == Owner.QUEUE


def test_a_mail_that_was_not_sent_says_why_and_is_sent_again_once(browser: Open, database: Database, case: str) -> None:
    mail_id = out(database, case)
    do(database, desk.give_up_sending, mail_id, "550 5.7.1 no relaying <b>")
    give_up_the_job(database)
    agent = browser("lea")
    seen = agent.ask(f"conversations/{case}").json
    assert "Non envoyé : 550 5.7.1 no relaying &lt;b&gt;" in seen["events"]
    assert 'data-mail-act="resend"' in seen["mails"][str(mail_id)]
    assert "En partance" not in seen["events"]
    assert not seen["leaving"]

    assert agent.act(case, f"mails/{mail_id}/resend").status_code == 200
    assert agent.act(case, f"mails/{mail_id}/resend").status_code == 409

    assert state(database, mail_id) == OutboundState.WAITING
    with database.read() as session:
        job = session.scalars(select(Job).where(Job.kind == desk.SEND_MAIL)).one()
        assert (job.state, job.attempts) == (JobState.WAITING, 0)


def test_of_a_mail_in_doubt_an_agent_decides(browser: Open, database: Database, case: str) -> None:
    mail_id = out(database, case)
    do(database, desk.begin_sending, mail_id)
    do(database, desk.leave_in_doubt, mail_id, "")
    agent = browser("lea")
    mark = agent.ask(f"conversations/{case}").json["mails"][str(mail_id)]
    assert "Peut-être parti le" in mark
    assert 'data-mail-act="settle"' in mark

    assert agent.act(case, f"mails/{mail_id}/settle").status_code == 200

    assert state(database, mail_id) == OutboundState.SENT
    assert agent.act(case, f"mails/{mail_id}/resend").status_code == 409, "it has been decided"


def test_no_mail_of_another_case_can_be_sent_again(browser: Open, database: Database, case: str) -> None:
    mail_id = out(database, case)
    do(database, desk.give_up_sending, mail_id, "x")
    other = file_mail(database, sender="b@example.net", reply_to="b@example.net")
    assert browser("lea").act(other, f"mails/{mail_id}/resend").status_code == 404
    assert state(database, mail_id) == OutboundState.FAILED


def test_a_mail_that_is_tried_again_says_why(browser: Open, database: Database, case: str) -> None:
    mail_id = out(database, case)
    do(database, desk.begin_sending, mail_id)
    do(database, desk.wait_again, mail_id, "ConnectionRefusedError")
    seen = browser("lea").ask(f"conversations/{case}").json
    assert "Pas encore parti" in seen["events"]
    assert seen["leaving"]


def bounce(database: Database, *, permanent: bool = True) -> None:
    returned = desk.Returned(shop.DEMO_EMAIL, permanent, False, "5.1.1", "no such user")
    with database.begin() as session:
        mail = desk.receive(session, uuid.uuid4().bytes, source="smtp:test")
        values = {"kind": MailKind.BOUNCE, "original_ids": ("<o@shop>",), "returned": (returned,), "silent": True}
        assert desk.file_mail(session, mail.id, filed(**values, sender="mailer-daemon@x", reply_to=""))


def test_a_returned_mail_says_so_and_the_next_reply_is_warned(browser: Open, database: Database, case: str) -> None:
    mail_id = out(database, case)
    do(database, desk.mark_sent, mail_id)
    agent = browser("lea")
    agent.act(case, "claim")
    assert "n’arrivent pas" not in agent.ask(f"conversations/{case}").json["composer"]

    bounce(database)

    seen = agent.ask(f"conversations/{case}").json
    assert "Non remis : 5.1.1 no such user" in seen["mails"][str(mail_id)]
    assert f"Non remis à {shop.DEMO_EMAIL} : 5.1.1 no such user" in seen["events"]
    assert f"Les courriels à {shop.DEMO_EMAIL} n’arrivent pas" in seen["composer"]
    assert agent.reply(case, "Essayons encore", subject="Re").status_code == 200, "a warning, not a refusal"


def test_a_linked_case_is_one_click_away(browser: Open, database: Database, case: str) -> None:
    other = file_mail(database, addressed=(case,), sender="m@example.net", reply_to="")
    page = browser("lea").look(f"/desk/c/{other}")
    assert f'href="/desk/c/{case}" data-id="{case}"' in page
    assert f"#{case[:8].upper()}" in page


# ---- mail without a case


def quarantined(database: Database, raw: bytes = b"Subject: <i>Bonjour</i>\r\nFrom: a@b\r\n\r\n<script>") -> int:
    with database.begin() as session:
        mail = desk.receive(session, raw, source="smtp:127.0.0.1")
        session.scalars(select(Job).where(Job.key == mail.digest)).one().state = JobState.FAILED
        desk.quarantine(session, mail.id, failure="RuntimeError: the model is gone", attempts=3)
        return mail.id


def test_the_quarantine_is_shown_on_every_page_and_lists_why(browser: Open, database: Database) -> None:
    mail_id = quarantined(database)
    agent = browser("lea")
    assert "1 courriel n’a pas pu être lu." in agent.look("/desk/")
    assert "1 courriel n’a pas pu être lu." in agent.ask("notices").json["html"]
    page = agent.look("/desk/kept")
    assert "&lt;i&gt;Bonjour&lt;/i&gt;" in page
    assert "3 essais" in page
    assert "RuntimeError: the model is gone" in page
    assert f"/desk/kept/{mail_id}/raw" in page


def test_raw_mail_is_downloaded_as_it_came_and_never_shown(browser: Open, database: Database) -> None:
    raw = b"Content-Type: text/html\r\n\r\n<script>alert(1)</script>\xff\x00"
    mail_id = quarantined(database, raw)
    response = browser("lea").client.get(f"/desk/kept/{mail_id}/raw")
    assert response.data == raw
    assert response.content_type == "application/octet-stream", "nothing in it is shown by the browser"
    assert response.headers["Content-Disposition"] == f"attachment; filename=mail-{mail_id}.eml"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert browser().client.get(f"/desk/kept/{mail_id}/raw").status_code == 302, "agents only"


def test_a_filed_mail_is_not_to_be_had_there(browser: Open, database: Database, case: str) -> None:
    with database.read() as session:
        mail_id = session.scalars(select(InboundMail.id).where(InboundMail.conversation_id == case)).one()
    assert browser("lea").client.get(f"/desk/kept/{mail_id}/raw").status_code == 404


def press(agent: Browser, path: str) -> str:
    return agent.client.post(path, data={"csrf_token": agent.token}, follow_redirects=True).get_data(as_text=True)


def test_a_mail_is_read_again_at_the_press_of_a_button(browser: Open, database: Database) -> None:
    mail_id = quarantined(database)
    agent = browser("lea")
    assert "Lecture relancée" in press(agent, f"/desk/kept/{mail_id}/retry")
    assert "Un collègue s’en est déjà occupé." in press(agent, f"/desk/kept/{mail_id}/retry")
    with database.read() as session:
        (job,) = session.scalars(select(Job)).all()
        assert (job.state, job.attempts) == (JobState.WAITING, 0)
        assert desk.count_quarantined(session) == 0


def test_a_button_needs_a_token(browser: Open, database: Database) -> None:
    mail_id = quarantined(database)
    browser("lea").client.post(f"/desk/kept/{mail_id}/retry")
    with database.read() as session:
        assert desk.count_quarantined(session) == 1


def test_a_mail_becomes_a_case_as_it_is_once(browser: Open, database: Database) -> None:
    mail_id = quarantined(database)
    agent = browser("lea")
    assert "Sans dossier" in press(agent, f"/desk/kept/{mail_id}/open")
    assert "Un collègue s’en est déjà occupé." in press(agent, f"/desk/kept/{mail_id}/open")
    with database.read() as session:
        (found,) = desk.queue(session)
        assert found.subject == "Sans dossier"
        assert desk.count_quarantined(session) == 0


def test_a_person_taken_for_a_machine_becomes_a_case(browser: Open, database: Database) -> None:
    with database.begin() as session:
        mail_id = desk.receive(session, b"Subject: Absence\r\n\r\n", source="smtp:test").id
        values = {"kind": MailKind.AUTO_REPLY, "silent": True}
        assert desk.file_mail(session, mail_id, filed(**values)) is None
    agent = browser("lea")
    assert "Absence" in agent.look("/desk/kept")
    press(agent, f"/desk/kept/{mail_id}/open")
    with database.read() as session:
        assert len(desk.queue(session)) == 1
        assert desk.unmatched(session) == []


def test_what_is_read_meanwhile_leaves_the_quarantine(database: Database) -> None:
    mail_id = quarantined(database)
    with database.begin() as session:
        assert desk.file_mail(session, mail_id, filed())
        desk.quarantine(session, mail_id, failure="late", attempts=3)
        assert desk.count_quarantined(session) == 0
