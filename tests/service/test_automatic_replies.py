"""A policy that answers, from raw bytes to the outbox: who is told what, once, and within which budget."""

from __future__ import annotations

import contextlib
import email
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime
from typing import Any

import pytest
from sqlalchemy import func, select, update

from desk import READ_MAIL, SEND_MAIL, Conversation, Event, EventKind, InboundMail, OutboundMail, Owner, queue
from service import mail_in, worker
from service.automatic import file_and_answer
from service.mail_policy import MailPolicy
from service.mail_reading import StudiedMail, sort_mails, study
from service.settings import Mail
from service.wiring import House
from shop import DEMO_EMAIL, DEMO_ORDER, Customer, Order, OrderState, Parcel, ParcelState
from store import Job, utc_now

SERVER = "mx.shop.example"
US = "contact@librairie-tournesol.example"
TRACKING = {"order_tracking": {"action": "answer", "error_rate": 0.2}}
WHERE = f"Bonjour, où en est ma commande {DEMO_ORDER} ? Quand sera-t-elle livrée ? Merci, Camille"


def with_policy(house: House, **policy: Any) -> House:
    mail = Mail(authserv_id=SERVER, policy=MailPolicy.model_validate(policy))
    return replace(house, settings=house.settings.model_copy(update={"mail": mail}))


def letter(
    body: str = WHERE, subject: str = "Suivi de ma commande", sender: str = DEMO_EMAIL, stamp: str = "", **headers: str
) -> bytes:
    mail = EmailMessage()
    if stamp:
        mail["Authentication-Results"] = f"{SERVER}; {stamp}"
    mail["From"] = f"Camille Martin <{sender}>"
    mail["To"] = US
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{abs(hash((subject, body, sender, stamp)))}@example.org>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(body)
    return mail.as_bytes()


def verified(**values: Any) -> bytes:
    return letter(stamp="dmarc=pass header.from=example.org", **values)


def put_under_way(house: House) -> None:
    """The demo order as one that is on its way and in time."""
    with house.database.begin() as session:
        order = session.scalars(select(Order).where(Order.number == DEMO_ORDER)).one()
        soon = utc_now().date() + timedelta(days=2)
        order.state, order.promised_on = OrderState.SHIPPED, soon
        values = {"state": ParcelState.IN_TRANSIT, "delivered_at": None, "expected_on": soon}
        session.execute(update(Parcel).where(Parcel.order_id == order.id).values(**values))


@pytest.fixture
def under_way(house: House) -> None:
    put_under_way(house)


@pytest.fixture
def sure(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading as sure as a policy can ask for: which mails the trained model is sure of is not this file's matter."""
    real = house.understanding.read_mails

    def certain(mails: Sequence[tuple[str, str]], language_hint: str | None = None) -> list[Any]:
        return [
            replace(reading, predicted=("order_tracking",), error_rate=0.005) for reading in real(mails, language_hint)
        ]

    monkeypatch.setattr(house.understanding, "read_mails", certain)


def take(house: House, raw: bytes, source: str = "test") -> InboundMail:
    taken = mail_in.take_in(house.database, raw, source)
    assert worker.run_one(house, [READ_MAIL])
    with house.database.read() as session:
        return session.get_one(InboundMail, taken.mail_id)


def studied_mail(house: House, mail_id: int) -> StudiedMail:
    with house.database.read() as session:
        mail = session.get_one(InboundMail, mail_id)
    (found,) = sort_mails(house, [mail])
    return study(house, found)


def case_of(house: House, mail: InboundMail) -> Conversation:
    with house.database.read() as session:
        return session.get_one(Conversation, mail.conversation_id)


def sent(house: House) -> list[EmailMessage]:
    with house.database.read() as session:
        rows = session.scalars(select(OutboundMail.raw).order_by(OutboundMail.id)).all()
    return [email.message_from_bytes(raw, policy=default) for raw in rows]  # type: ignore[misc]


def said_by_bot(house: House, mail: InboundMail) -> list[dict[str, Any]]:
    with house.database.read() as session:
        wanted = (Event.conversation_id == mail.conversation_id, Event.actor == "bot", Event.kind == EventKind.MESSAGE)
        return list(session.scalars(select(Event.body).where(*wanted)))


def decided(mail: InboundMail) -> tuple[str, list[str]]:
    assert mail.sorting is not None
    return mail.sorting["action"], mail.sorting["reasons"]


@pytest.mark.usefixtures("under_way", "sure")
class TestAnAnswer:
    def test_a_verified_sender_is_told_where_the_order_is(self, house: House) -> None:
        house = with_policy(house, motives=TRACKING)
        mail = take(house, verified())
        assert decided(mail) == ("answer", ["policy"])
        [reply] = sent(house)
        assert (reply["To"], reply["Auto-Submitted"], reply["X-Loop"]) == (DEMO_EMAIL, "auto-replied", US)
        assert reply["X-Auto-Response-Suppress"] == "All"
        assert reply["In-Reply-To"] == mail.message_id
        body = reply.get_body(("plain",))
        assert body is not None
        assert "Colissimo" in body.get_content()
        [event] = said_by_bot(house, mail)
        assert (event["to"], event["automatic"]) == (DEMO_EMAIL, "answer")
        case = case_of(house, mail)
        assert (case.owner, case.queued_at) == (Owner.BOT, None)
        assert case.closed_at is not None
        with house.database.read() as session:
            assert session.scalar(select(func.count()).where(Job.kind == SEND_MAIL)) == 1
            assert case.customer_id == session.scalar(select(Customer.id).where(Customer.email == DEMO_EMAIL))

    def test_the_default_policy_answers_nothing_but_drafts_with_the_facts(self, house: House) -> None:
        house = with_policy(house)
        mail = take(house, verified())
        assert (decided(mail), sent(house)) == (("draft", ["policy"]), [])
        assert mail.draft is not None
        assert "Colissimo" in mail.draft["text"]
        assert case_of(house, mail).owner == Owner.QUEUE

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (letter(), "sender_unverified"),
            (letter(stamp="dmarc=fail header.from=example.org"), "sender_failed"),
            (verified(sender="eve@example.org"), "no_order_answer"),
            (verified(Reply_To="eve@evil.example"), "other_reply_address"),
            (verified(body=WHERE + " Et CMD-2026-104001 ?"), "no_order_answer"),
        ],
    )
    def test_nobody_else_hears_of_the_order(self, house: House, raw: bytes, reason: str) -> None:
        house = with_policy(house, motives=TRACKING)
        mail = take(house, raw)
        action, reasons = decided(mail)
        assert (action, sent(house)) == ("draft", [])
        assert reason in reasons
        if b"104001" not in raw:
            assert "Colissimo" not in (mail.draft or {})["text"]

    @pytest.mark.parametrize("source", ["test", "import:old.mbox#1"])
    def test_old_mail_of_an_archive_is_not_answered(self, house: House, source: str) -> None:
        house = with_policy(house, motives=TRACKING, acknowledge=True)
        raw = verified(Date=format_datetime(utc_now() - timedelta(days=3))) if source == "test" else verified()
        mail = take(house, raw, source)
        assert (decided(mail), sent(house)) == (("draft", ["too_old"]), [])

    @pytest.mark.parametrize("trouble", ["lost", "late", "delivered"])
    def test_an_order_with_something_to_explain_is_left_to_a_human(self, house: House, trouble: str) -> None:
        with house.database.begin() as session:
            order = session.scalars(select(Order).where(Order.number == DEMO_ORDER)).one()
            if trouble == "lost":
                session.execute(update(Parcel).where(Parcel.order_id == order.id).values(state=ParcelState.LOST))
            elif trouble == "late":
                order.promised_on = utc_now().date() - timedelta(days=1)
            else:
                order.state = OrderState.DELIVERED
        house = with_policy(house, motives=TRACKING)
        assert decided(take(house, verified())) == ("draft", ["no_order_answer"])

    def test_the_customers_next_mail_reaches_an_agent(self, house: House) -> None:
        house = with_policy(house, motives=TRACKING)
        mail = take(house, verified())
        [reply] = sent(house)
        # The standard library folds a long id by encoding it, so this header is written here.
        again = take(house, f"In-Reply-To: {reply['Message-ID']}\r\n".encode() + verified(body=WHERE + " encore"))
        assert again.conversation_id == mail.conversation_id
        assert decided(again)[0] == "draft"
        assert {"not_first_mail", "case_answered"} <= set(decided(again)[1])
        assert case_of(house, again).owner == Owner.QUEUE
        assert len(sent(house)) == 1

    def test_one_mail_gets_one_reply_however_often_it_is_read(self, house: House) -> None:
        house = with_policy(house, motives=TRACKING)
        mail = take(house, verified())
        studied = studied_mail(house, mail.id)
        with house.database.begin() as session:
            assert file_and_answer(session, house, mail.id, studied) is None
        mail_in.take_in(house.database, verified(), "again")
        assert not worker.run_one(house, [READ_MAIL])
        assert len(sent(house)) == 1

    def test_what_is_undone_half_way_is_as_if_it_had_not_been(self, house: House) -> None:
        house = with_policy(house, motives=TRACKING)
        taken = mail_in.take_in(house.database, verified(), "test")
        studied = studied_mail(house, taken.mail_id)
        with contextlib.suppress(KeyboardInterrupt), house.database.begin() as session:
            file_and_answer(session, house, taken.mail_id, studied)
            raise KeyboardInterrupt
        assert sent(house) == []
        assert worker.run_one(house, [READ_MAIL])
        assert len(sent(house)) == 1


class TestAnAcknowledgement:
    def test_whoever_asks_for_a_human_is_told_by_when(self, house: House) -> None:
        house = with_policy(house, acknowledge=True)
        mail = take(
            house, letter("Je veux parler à un conseiller humain, s'il vous plaît. Appelez-moi.", "Un humain svp")
        )
        assert decided(mail) == ("queue", ["wants_human"])
        [reply] = sent(house)
        body = reply.get_body(("plain",))
        promised = house.hours.answer_by(utc_now(), timedelta(hours=8))
        assert body is not None
        assert promised is not None
        assert f"{promised:%H:%M}" in body.get_content()
        assert f"{promised:%H:%M}" in (mail.draft or {})["text"]
        assert case_of(house, mail).owner == Owner.QUEUE
        assert [event["automatic"] for event in said_by_bot(house, mail)] == ["acknowledgement"]

    def test_machines_and_forgers_hear_nothing(self, house: House) -> None:
        house = with_policy(house, acknowledge=True)
        take(house, letter(subject="Absence du bureau"))
        take(house, letter(stamp="dmarc=fail header.from=example.org"))
        take(house, letter(body="Newsletter", List_Id="<x.example>"))
        take(house, letter(Reply_To="eve@evil.example"))
        assert sent(house) == []

    def test_an_address_that_cannot_be_written_to_is_left_to_an_agent(self, house: House) -> None:
        house = with_policy(house, acknowledge=True)
        raw = letter("Je veux parler à un conseiller humain.", "Un humain svp").replace(
            DEMO_EMAIL.encode(), b"a..b@c_d.example"
        )
        mail = take(house, raw)
        assert decided(mail) == ("queue", ["wants_human"])
        assert mail.sorting is not None
        assert not mail.sorting["acknowledge"]
        assert sent(house) == []


class TestTheBudget:
    def test_three_a_day_for_one_sender(self, house: House) -> None:
        house = with_policy(house, acknowledge=True)
        for index in range(5):
            mail = take(house, letter(f"Question numéro {index}", f"Question {index}"))
        assert len(sent(house)) == 3
        assert "sender_budget" in decided(mail)[1]
        with house.database.begin() as session:
            session.execute(update(OutboundMail).values(created_at=utc_now() - timedelta(hours=25)))
        take(house, letter("Le lendemain", "Bonjour"))
        assert len(sent(house)) == 4

    def test_the_circuit_breaker_stops_all(self, house: House) -> None:
        house = with_policy(house, acknowledge=True, per_hour=2)
        for index in range(4):
            mail = take(house, letter(f"Question numéro {index}", sender=f"client{index}@example.net"))
        assert len(sent(house)) == 2
        assert "circuit_breaker" in decided(mail)[1]

    def test_workers_that_race_for_the_last_one_send_one(self, house: House) -> None:
        house = with_policy(house, acknowledge=True, per_sender_and_day=1)
        studied = []
        for index in range(8):
            taken = mail_in.take_in(house.database, letter(f"Question numéro {index}", f"Question {index}"), "test")
            studied.append((taken.mail_id, studied_mail(house, taken.mail_id)))
        start = threading.Barrier(len(studied))
        failures: list[Exception] = []

        def work(mail_id: int, each: Any) -> None:
            start.wait()
            try:
                with house.database.begin() as session:
                    file_and_answer(session, house, mail_id, each)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=each) for each in studied]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(sent(house)) == 1
        with house.database.read() as session:
            assert session.scalar(select(func.count()).where(InboundMail.filed_at.is_not(None))) == 8


def test_urgent_mail_stands_first_in_the_queue(house: House) -> None:
    house = with_policy(house)
    take(house, letter("Avez-vous ce livre en stock ?", "Question", sender="calm@example.net"))
    urgent = take(house, letter("C'est inadmissible, je saisis mon avocat.", "Colis", sender="angry@example.net"))
    assert urgent.sorting is not None
    assert urgent.sorting["urgency"]["urgent"]
    with house.database.read() as session:
        assert [each.contact for each in queue(session)] == ["angry@example.net", "calm@example.net"]
