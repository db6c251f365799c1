"""One mail that came by two routes: what makes two mails one, and what does not."""

from __future__ import annotations

import pytest
from sqlalchemy import select

import desk
from desk import Conversation, EventKind, InboundMail, MailKind, Owner
from desk.copies import COMPARED, sent_content
from store import Database
from tests.desk.scenes import filed
from tests.desk.test_conversations import at_once

ID = "<2026-104233@example.org>"
SENT = (
    b"From: Camille Martin <camille.martin@example.org>\r\n"
    b"To: contact@shop.example, info@shop.example\r\n"
    b"Date: Mon, 5 Jan 2026 10:00:00 +0100\r\n"
    b"Subject: =?utf-8?q?Livre_ab=C3=AEm=C3=A9?=\r\n of last week\r\n"
    b"Message-ID: <2026-104233@example.org>\r\n"
    b"\r\n"
    b"La couverture est abimee.\r\n\r\nCamille\r\n"
)
BY_CONTACT = (
    b"Return-Path: <camille.martin@example.org>\r\nDelivered-To: contact@shop.example\r\n"
    b"Received: from mx.example.org by mx.shop.example\r\n\tfor <contact@shop.example>; Mon, 5 Jan 2026 10:00:03 +0100\r\n"
)
BY_INFO = (
    b"Return-Path: <>\r\nX-Original-To: info@shop.example\r\nDelivered-To: info@shop.example\r\n"
    b"Received: from forward.example by mx.shop.example; Mon, 5 Jan 2026 10:00:09 +0100\r\n"
    b"Authentication-Results: mx.shop.example; dmarc=fail\r\nX-Spam-Score: 1.2\r\n"
)
COPIES = (BY_CONTACT + SENT, BY_INFO + SENT)


def take(database: Database, raw: bytes, *, whole_bytes: int | None = None) -> int:
    with database.begin() as session:
        return desk.receive(session, raw, source="test", whole_bytes=whole_bytes).id


def file(database: Database, mail_id: int, **changes: object) -> str | None:
    with database.begin() as session:
        case = desk.file_mail(session, mail_id, filed(**{"message_id": ID, **changes}))
        return case.id if case else None


def row(database: Database, mail_id: int) -> InboundMail:
    with database.read() as session:
        return session.get_one(InboundMail, mail_id)


def cases(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Conversation.id)))


def file_both(database: Database, first: bytes, second: bytes, **changes: object) -> tuple[InboundMail, InboundMail]:
    ids = [take(database, raw) for raw in (first, second)]
    file(database, ids[0])
    file(database, ids[1], **changes)
    return row(database, ids[0]), row(database, ids[1])


def test_a_copy_by_another_route_is_kept_beside_its_case_and_nothing_more(database: Database) -> None:
    first, second = file_both(database, *COPIES)

    assert cases(database) == [first.conversation_id]
    assert (second.conversation_id, second.kind, second.raw) == (first.conversation_id, MailKind.COPY, COPIES[1])
    assert second.filed_at is not None
    with database.read() as session:
        kinds = [event.kind for event in desk.events_after(session, cases(database)[0])]
    assert kinds == [EventKind.OPENED, EventKind.MESSAGE, EventKind.SORTED]


@pytest.mark.parametrize(
    "same",
    [
        BY_INFO + SENT.replace(b"\r\n", b"\n"),
        BY_INFO + SENT.rstrip(b"\r\n"),
        BY_INFO + SENT.replace(b"\r\n of last", b"\r\n\tof last"),
        b"From camille.martin@example.org Mon Jan  5 10:00:03 2026\n" + (BY_INFO + SENT).replace(b"\r\n", b"\n"),
        BY_INFO + SENT.replace(b"Subject", b"SUBJECT"),
        BY_INFO + SENT.replace(b"To: contact@shop.example, info@shop.example", b"To: info@shop.example"),
    ],
    ids=["line endings", "last line ending", "folding", "mbox line", "case of a name", "To"],
)
def test_what_a_route_changes_makes_no_other_mail(database: Database, same: bytes) -> None:
    first, second = file_both(database, COPIES[0], same)

    assert second.conversation_id == first.conversation_id
    assert second.kind == MailKind.COPY


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"La couverture", b"la couverture"),
        (b"abimee.\r\n\r\nCamille", b"abimee.\r\n\r\n Camille"),
        (b"Subject: =?utf-8?q?Livre", b"Subject: Re: =?utf-8?q?Livre"),
        (b"Date: Mon, 5 Jan 2026 10:00:00", b"Date: Mon, 5 Jan 2026 10:00:01"),
        (b"Date: Mon, 5 Jan 2026 10:00:00 +0100\r\n", b""),
        (b"From: Camille Martin <", b"From: Camille <"),
        (b"Message-ID", b"Reply-To: mallory@example.net\r\nMessage-ID"),
        (b"Message-ID", b"Content-Transfer-Encoding: base64\r\nMessage-ID"),
    ],
)
def test_the_same_id_with_other_content_is_a_mail_of_its_own(database: Database, old: bytes, new: bytes) -> None:
    assert old in SENT
    first, second = file_both(database, BY_CONTACT + SENT, BY_INFO + SENT.replace(old, new))

    assert second.kind == MailKind.PERSON
    assert second.conversation_id != first.conversation_id
    assert len(cases(database)) == 2


def test_the_same_content_with_another_id_is_a_mail_of_its_own(database: Database) -> None:
    other = SENT.replace(b"2026-104233", b"2026-104234")
    _, second = file_both(database, BY_CONTACT + SENT, BY_INFO + other, message_id="<2026-104234@example.org>")

    assert second.kind == MailKind.PERSON
    assert len(cases(database)) == 2


def test_lines_that_are_no_header_are_compared_with_the_body() -> None:
    one, other = (SENT.replace(b"\r\n\r\nLa", b"\r\n \r\nNote: %s\r\nLa" % word) for word in (b"un", b"deux"))

    assert sent_content(one) != sent_content(other)
    assert sent_content(b"") == sent_content(b"\r\n")
    assert sent_content(b"Subject: one") != sent_content(b"Subject: two")


def test_copies_that_are_filed_at_the_same_moment_are_one_case(database: Database) -> None:
    one, other = (take(database, raw) for raw in COPIES)

    opened = at_once(lambda: file(database, one), lambda: file(database, other))

    assert [case for case in opened if case] == cases(database)
    assert sorted(row(database, each).kind for each in (one, other)) == [MailKind.COPY, MailKind.PERSON]


def test_a_copy_that_comes_late_does_not_take_the_place_of_the_newest_mail(database: Database) -> None:
    first = take(database, COPIES[0])
    case = file(database, first)
    assert case is not None
    newest = take(database, b"Subject: Re\r\n\r\nToujours rien")
    assert file(database, newest, message_id="<later@example.org>", thread_ids=(ID,)) == case
    file(database, take(database, COPIES[1]))

    with database.read() as session:
        latest = desk.latest_mail(session, case)
        assert latest is not None
        assert latest.id == newest
        opened = session.get_one(Conversation, case).created_at
        assert desk.mails_since(session, "camille.martin@example.org", opened.replace(year=2020), besides=newest) == 1


def test_a_copy_brings_nothing_back_into_the_queue(database: Database, agents: tuple[int, int]) -> None:
    case = file(database, take(database, COPIES[0]))
    assert case is not None
    with database.begin() as session:
        assert desk.claim_conversation(session, case, agents[0])
        assert desk.close(session, case, agents[0], seen=10**6)

    file(database, take(database, COPIES[1]))

    with database.read() as session:
        assert desk.load(session, case).owner == Owner.BOT
        assert desk.queue(session) == []


def test_a_copy_that_a_mailing_list_sent_does_not_hide_the_one_for_somebody(database: Database) -> None:
    by_list = take(database, b"List-Id: <contact.shop.example>\r\n" + SENT)
    file(database, by_list, silent=True, sorting={"action": "ignore"})

    case = file(database, take(database, COPIES[0]))

    with database.read() as session:
        assert [each.id for each in desk.queue(session)] == [case]
    assert file(database, take(database, b"List-Id: <again.shop.example>\r\n" + SENT), silent=True) is None


def test_a_copy_that_a_forwarder_broke_does_not_keep_the_genuine_one_from_its_case(database: Database) -> None:
    base = file(database, take(database, b"Subject: first\n\nBonjour"), message_id="<first@example.org>")
    forwarded, direct = (take(database, raw) for raw in reversed(COPIES))
    strange = file(
        database,
        forwarded,
        forged=True,
        addressed=(base,),
        sorting={"sender": {"standing": "failed", "why": "dmarc=fail"}},
    )

    assert strange not in (None, base)
    assert file(database, direct, addressed=(base,)) == base


def test_a_copy_that_names_another_case_joins_it(database: Database) -> None:
    base = file(database, take(database, b"Subject: first\n\nBonjour"), message_id="<first@example.org>")
    without_token, with_token = (take(database, raw) for raw in COPIES)

    assert file(database, without_token) != base
    assert file(database, with_token, addressed=(base,)) == base


def test_of_a_mail_too_big_to_take_in_nobody_knows_whether_it_is_a_copy(database: Database) -> None:
    for raw in COPIES:
        assert file(database, take(database, raw, whole_bytes=10**9)) is not None

    assert len(cases(database)) == 2


def test_a_machine_that_gives_all_its_mails_one_id_costs_no_more_than_a_few_comparisons(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(COMPARED + 5):
        assert file(database, take(database, BY_CONTACT + SENT.replace(b"abimee", b"%d" % number))) is not None
    compared: list[bytes] = []
    monkeypatch.setattr("desk.copies.sent_content", lambda raw: (compared.append(raw), sent_content(raw))[1])

    assert file(database, take(database, BY_INFO + SENT.replace(b"abimee", b"%d" % (COMPARED + 4)))) is None
    assert file(database, take(database, COPIES[1])) is not None

    assert len(compared) <= 2 + COMPARED + 1


def test_a_kept_copy_that_an_agent_opens_leads_to_the_case_that_is_there(database: Database) -> None:
    first, second = (take(database, raw) for raw in COPIES)
    with database.begin() as session:
        desk.quarantine(session, first, failure="broken", attempts=3)
    case = file(database, second)

    with database.begin() as session:
        opened = desk.open_as_case(session, first, filed(message_id=ID))
        assert opened is not None
        assert opened.id == case
        assert desk.count_quarantined(session) == 0
    assert cases(database) == [case]
    assert row(database, first).kind == MailKind.COPY


def test_two_copies_of_a_note_that_belongs_to_no_case_become_one_case(database: Database) -> None:
    ids = [take(database, raw) for raw in COPIES]
    for mail_id in ids:
        assert file(database, mail_id, kind=MailKind.AUTO_REPLY, silent=True) is None

    with database.begin() as session:
        opened = [desk.open_as_case(session, mail_id, filed(message_id=ID)) for mail_id in ids]
        assert desk.unmatched(session) == []
    assert [each.id for each in opened if each] == cases(database) * 2
