"""A mail that two mailboxes bring, from raw bytes to the outbox: one case, one answer, whatever state the other copy is in."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from sqlalchemy import select

from desk import READ_MAIL, Conversation, EventKind, InboundMail, MailKind, OutboundMail, events_after, quarantined
from desk import read_again as read_quarantined
from service import mail_in, worker
from service.wiring import House
from store import Job, JobState, utc_now
from tests.service.test_automatic_replies import US, with_policy
from tests.service.test_mail import count, make_due, sweep_the_dead

ROUTES = (
    b"Return-Path: <camille.martin@example.org>\r\nDelivered-To: contact@librairie-tournesol.example\r\n"
    b"Received: from mx.example.org by mx.shop.example; Mon, 5 Jan 2026 10:00:03 +0100\r\n",
    b"Return-Path: <camille.martin@example.org>\r\nX-Original-To: info@librairie-tournesol.example\r\n"
    b"Delivered-To: info@librairie-tournesol.example\r\nReceived: from mx2.example.org by mx.shop.example\r\n"
    b"\twith esmtp; Mon, 5 Jan 2026 10:00:08 +0100\r\n",
)

NOW = format_datetime(utc_now())


def letter(body: str = "Bonjour, où est mon colis ?\n\nOn ne me répond pas.", subject: str = "Mon colis") -> bytes:
    mail = EmailMessage()
    mail["From"] = "Camille Martin <camille.martin@example.org>"
    mail["To"] = f"{US}, info@librairie-tournesol.example"
    mail["Date"] = NOW
    mail["Subject"] = subject
    mail["Message-ID"] = "<one@example.org>"
    mail.set_content(body)
    mail.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="facture.pdf")
    boundary = mail.as_bytes().partition(b'boundary="')[2].partition(b'"')[0]
    return mail.as_bytes().replace(boundary, b"==same==")


def copies() -> list[bytes]:
    return [route + letter() for route in ROUTES]


@pytest.fixture
def answering(house: House) -> House:
    """A house that acknowledges every mail."""
    return with_policy(house, acknowledge=True)


def take(house: House, raw: bytes) -> int:
    return mail_in.take_in(house.database, raw, "test").mail_id


def rows(house: House) -> list[InboundMail]:
    with house.database.read() as session:
        return list(session.scalars(select(InboundMail).order_by(InboundMail.id)))


def assert_one_case_and_one_answer(house: House, *, copy: int) -> None:
    """Of the two mails there the one at `copy` is only kept; the other has the case, its events and its answer."""
    mails = rows(house)
    first, second = mails[1 - copy], mails[copy]
    assert [mail.raw for mail in mails] == copies()
    assert (first.kind, second.kind) == (MailKind.PERSON, MailKind.COPY)
    assert second.conversation_id == first.conversation_id
    assert count(house, Conversation) == 1
    with house.database.read() as session:
        [reply] = session.scalars(select(OutboundMail)).all()
        events = events_after(session, first.conversation_id)
        assert session.scalars(select(Job.state).where(Job.kind == READ_MAIL)).all() == [JobState.DONE] * 2
    assert reply.answers_id == first.id
    told = [(event.kind, event.body.get("mail_id")) for event in events if event.actor in ("customer", "system")]
    assert told == [(EventKind.OPENED, None), (EventKind.MESSAGE, first.id), (EventKind.SORTED, first.id)]


def test_copies_read_one_after_the_other_are_one_case(answering: House) -> None:
    for raw in copies():
        take(answering, raw)
        assert worker.run_one(answering, [READ_MAIL])

    assert_one_case_and_one_answer(answering, copy=1)


def test_copies_read_together_are_one_case(answering: House) -> None:
    for raw in copies():
        take(answering, raw)

    assert worker.read_some(answering)
    assert not worker.read_some(answering)

    assert_one_case_and_one_answer(answering, copy=1)


def test_the_copy_of_a_mail_in_the_quarantine_is_answered_and_the_other_joins_it(
    answering: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the model is gone")

    first, second = copies()
    with monkeypatch.context() as broke:
        broke.setattr(answering.understanding, "read_mails", broken)
        kept = take(answering, first)
        for _ in range(worker.READ_TRIES):
            make_due(answering)
            assert worker.run_one(answering, [READ_MAIL])
    take(answering, second)
    assert worker.run_one(answering, [READ_MAIL])
    with answering.database.begin() as session:
        assert [each.id for each in quarantined(session)] == [kept]
        assert read_quarantined(session, kept)
    assert worker.run_one(answering, [READ_MAIL])

    assert_one_case_and_one_answer(answering, copy=0)
    with answering.database.read() as session:
        assert quarantined(session) == []


@pytest.mark.parametrize("killed", [0, 1], ids=["the first copy", "the second copy"])
def test_a_worker_killed_while_it_files_a_copy_leaves_one_case(
    answering: House, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    class Killed(BaseException):
        pass

    real, finished = worker._finish, []

    def deadly(*args: object) -> None:
        finished.append(args)
        if len(finished) == killed + 1:
            raise Killed
        real(*args)

    monkeypatch.setattr(worker, "_finish", deadly)
    for raw in copies():
        take(answering, raw)
    with pytest.raises(Killed):
        worker.read_some(answering)
    assert count(answering, Conversation) == count(answering, OutboundMail) == killed

    sweep_the_dead(answering)
    make_due(answering)
    while worker.read_some(answering):
        pass

    assert len(finished) == 3
    assert_one_case_and_one_answer(answering, copy=[mail.kind for mail in rows(answering)].index(MailKind.COPY))


def test_the_same_id_with_other_content_is_answered_for_itself(answering: House) -> None:
    take(answering, ROUTES[0] + letter("Votre colis part demain."))
    take(answering, ROUTES[1] + letter("Votre colis est livré."))

    assert worker.read_some(answering)

    assert {mail.kind for mail in rows(answering)} == {MailKind.PERSON}
    assert count(answering, Conversation) == count(answering, OutboundMail) == 2


def test_a_mail_without_an_id_has_no_copies(house: House) -> None:
    for raw in copies():
        take(house, raw.replace(b"Message-ID: <one@example.org>\n", b""))

    assert worker.read_some(house)

    assert {mail.kind for mail in rows(house)} == {MailKind.PERSON}


def test_what_is_taken_for_a_signature_is_kept_with_the_mail(house: House) -> None:
    body = "Bonjour,\n\nOù est mon colis ?\n\n-- \nCamille Martin\n06 12 34 56 78\n"
    take(house, letter(body))

    assert worker.run_one(house, [READ_MAIL])

    with house.database.read() as session:
        case = session.scalars(select(Conversation)).one()
        message = next(each for each in events_after(session, case.id) if each.kind == EventKind.MESSAGE)
    assert "06 12 34 56 78" not in message.body["text"]
    assert "Camille Martin\n06 12 34 56 78" in message.body["signature"]
