"""Mail at the desk: nothing lost, nothing twice, and no stranger in somebody's conversation."""

from __future__ import annotations

import uuid

from sqlalchemy import func, select

import desk
import shop
from desk import InboundMail, OutboundMail, Owner
from store import Database, Job
from tests.desk.scenes import file_mail, filed
from tests.desk.test_conversations import at_once


def receive(database: Database, raw: bytes) -> int:
    with database.begin() as session:
        return desk.receive(session, raw, source="smtp:127.0.0.1").id


def count(database: Database, row: type) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(row)) or 0


def test_the_same_bytes_are_kept_once_and_read_once(database: Database) -> None:
    ids = at_once(*[lambda: receive(database, b"Subject: hello\r\n\r\nhello")] * 2)

    assert ids[0] == ids[1]
    assert (count(database, InboundMail), count(database, Job)) == (1, 1)


def test_a_mail_is_filed_once(database: Database) -> None:
    mail_id = receive(database, b"once")
    mail = filed()
    with database.begin() as session:
        first = desk.file_mail(session, mail_id, mail)
    with database.begin() as session:
        again = desk.file_mail(session, mail_id, mail)

    assert first is not None
    assert again is None
    with database.read() as session:
        assert [event.kind for event in desk.events_after(session, first.id)] == ["opened", "message", "sorted"]
        assert [each.id for each in desk.queue(session)] == [first.id]


def test_an_answer_to_our_mail_joins_its_conversation_and_queues_it_again(
    database: Database, agents: tuple[int, int]
) -> None:
    case = file_mail(database)
    send(database, case, agents[0], key=str(uuid.uuid4()), close=True)

    assert file_mail(database, thread_ids=("<answer@shop>",), text="Merci, mais toujours rien") == case
    with database.read() as session:
        assert desk.load(session, case).owner == Owner.QUEUE


def test_a_stranger_who_quotes_a_thread_does_not_enter_it(database: Database) -> None:
    case = file_mail(database, message_id="<first@example.org>")

    other = file_mail(
        database, thread_ids=("<first@example.org>",), sender="mallory@example.net", reply_to="mallory@example.net"
    )

    assert other != case


def test_machine_mail_is_kept_and_put_before_nobody(database: Database) -> None:
    case = file_mail(database, sender="mailer-daemon@example.net", silent=True)

    with database.read() as session:
        assert desk.queue(session) == []
        assert desk.load(session, case).owner == Owner.BOT


def test_an_answer_by_mail_leaves_once_however_often_it_is_sent(database: Database, agents: tuple[int, int]) -> None:
    case, key = file_mail(database), str(uuid.uuid4())
    with database.begin() as session:
        desk.claim_conversation(session, case, agents[0])

    at_once(*[lambda: send(database, case, agents[0], key=key)] * 2)

    assert count(database, OutboundMail) == 1
    with database.begin() as session:
        mail_id = session.scalar(select(OutboundMail.id))
        assert mail_id is not None
        assert desk.mark_sent(session, mail_id)
        assert not desk.mark_sent(session, mail_id)


def send(database: Database, case: str, agent_id: int, *, key: str, close: bool = False) -> None:
    with database.begin() as session:
        desk.claim_conversation(session, case, agent_id)
        desk.send_answer(
            session,
            case,
            agent_id,
            key=key,
            text="Voici",
            message_id="<answer@shop>",
            recipient=shop.DEMO_EMAIL,
            raw=b"Subject: Re\r\n\r\nVoici",
        )
        if close:
            desk.close(session, case, agent_id, seen=10**6)
