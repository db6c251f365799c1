"""Which case a mail joins: by token, by the mail it answers, by the subject's tag; and never a stranger's."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select

import desk
import shop
from desk import Conversation, EventKind, InboundMail, MailKind, Owner, Returned
from store import Database, utc_now
from tests.desk.scenes import file_mail, filed

STRANGER = {"sender": "mallory@example.net", "reply_to": ""}
SECRET = "Le cadeau est pour Paul"


def new_mail(database: Database, **changes: object) -> Conversation | None:
    with database.begin() as session:
        mail_id = desk.receive(session, uuid.uuid4().bytes, source="smtp:test").id
        return desk.file_mail(session, mail_id, filed(**changes))


def events(database: Database, case: str, kind: EventKind) -> list[desk.Event]:
    with database.read() as session:
        return [each for each in desk.events_after(session, case) if each.kind == kind]


def close_at(database: Database, case: str, ago: timedelta) -> None:
    with database.begin() as session:
        conversation = desk.load(session, case)
        conversation.owner, conversation.queued_at = Owner.BOT, None
        conversation.closed_at = utc_now() - ago


def cases(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Conversation)) or 0


NAMED = ["addressed", "answered", "thread_ids", "tags"]


def naming(how: str, case: str) -> dict[str, tuple[str, ...]]:
    return {how: {"thread_ids": (f"<{case}@example.org>",), "tags": (case[:8],)}.get(how, (case,))}


def open_case(database: Database, **changes: object) -> str:
    case = file_mail(database, **changes)
    with database.begin() as session:
        session.scalars(
            select(InboundMail).where(InboundMail.conversation_id == case)
        ).one().message_id = f"<{case}@example.org>"
    return case


@pytest.mark.parametrize("how", NAMED)
def test_a_participant_joins_the_case_that_their_mail_names(database: Database, how: str) -> None:
    case = open_case(database)
    assert file_mail(database, **naming(how, case)) == case


@pytest.mark.parametrize("how", NAMED)
def test_a_stranger_gets_a_case_of_their_own_and_sees_nothing_of_the_other(database: Database, how: str) -> None:
    case = open_case(database, text=SECRET)

    other = file_mail(database, **naming(how, case), **STRANGER)

    assert other != case
    (here,), (there,) = events(database, other, EventKind.LINKED), events(database, case, EventKind.LINKED)
    assert (here.body["case"], here.body["why"], here.body["newer"]) == (case, "stranger", False)
    assert (there.body["case"], there.body["newer"]) == (other, True)
    with database.read() as session:
        told = [str(each.body) for each in desk.events_after(session, other)]
        assert desk.load(session, other).contact == "mallory@example.net"
    assert not any(SECRET in each or shop.DEMO_EMAIL in each for each in told)


def test_a_strangers_second_mail_joins_their_own_linked_case(database: Database) -> None:
    case = open_case(database)
    other = file_mail(database, addressed=(case,), **STRANGER)
    assert file_mail(database, addressed=(case,), **STRANGER) == other


def test_the_token_goes_before_the_answered_mail_and_that_before_the_tag(database: Database) -> None:
    first, second, third = (open_case(database) for _ in range(3))
    named = {"addressed": (first,), "thread_ids": (f"<{second}@example.org>",), "tags": (third[:8],)}
    assert file_mail(database, **named) == first
    assert file_mail(database, **{**named, "addressed": ()}) == second
    assert file_mail(database, **{**named, "addressed": (), "thread_ids": ()}) == third


def test_the_newest_answered_mail_counts(database: Database) -> None:
    older, newer = open_case(database), open_case(database)
    assert file_mail(database, thread_ids=(f"<{older}@example.org>", f"<{newer}@example.org>")) == newer


def test_who_is_written_to_takes_part(database: Database) -> None:
    case = open_case(database)
    with database.begin() as session:
        desk.put_out(
            session, key="k", conversation_id=case, message_id="<o@shop>", recipient="Office@example.net", raw=b""
        )
    assert file_mail(database, addressed=(case,), sender="office@example.net", reply_to="") == case


@pytest.mark.parametrize(
    ("sender", "reply_to"),
    [("mallory@example.net", shop.DEMO_EMAIL), (shop.DEMO_EMAIL, "mallory@example.net"), ("", "")],
)
def test_half_a_participant_is_a_stranger(database: Database, sender: str, reply_to: str) -> None:
    case = open_case(database)
    assert file_mail(database, addressed=(case,), sender=sender, reply_to=reply_to) != case


def test_two_people_behind_one_contact_form_are_not_merged(database: Database) -> None:
    form = {"sender": "no-reply@form.example"}
    case = open_case(database, **form)
    assert file_mail(database, tags=(case[:8],), **form) == case
    assert file_mail(database, tags=(case[:8],), **form, reply_to="mallory@example.net") != case


def test_a_forged_sender_does_not_take_part(database: Database) -> None:
    case = open_case(database)
    assert file_mail(database, addressed=(case,), forged=True) != case


def test_a_chat_is_never_joined_by_mail(database: Database) -> None:
    with database.begin() as session:
        chat, _ = desk.open_chat(session, "fr")
    assert file_mail(database, addressed=(chat.id,), tags=(chat.id[:8],)) != chat.id


def test_a_case_closed_lately_is_opened_again(database: Database) -> None:
    case = open_case(database)
    close_at(database, case, timedelta(days=29))

    assert file_mail(database, answered=(case,)) == case

    assert len(events(database, case, EventKind.REOPENED)) == 1
    with database.read() as session:
        found = desk.load(session, case)
        assert (found.owner, found.closed_at) == (Owner.QUEUE, None)


def test_a_case_closed_long_ago_is_followed_by_one_new_linked_case(database: Database) -> None:
    case = open_case(database)
    close_at(database, case, timedelta(days=31))

    following = file_mail(database, answered=(case,))

    assert following != case
    assert events(database, following, EventKind.LINKED)[0].body["why"] == "closed"
    assert file_mail(database, answered=(case,)) == following, "the second mail does not open a third"
    with database.read() as session:
        assert desk.load(session, case).owner == Owner.BOT


def out(database: Database, case: str, recipient: str = shop.DEMO_EMAIL) -> int:
    with database.begin() as session:
        key = str(uuid.uuid4())
        return desk.put_out(
            session, key=key, conversation_id=case, message_id=f"<{key}@shop>", recipient=recipient, raw=b""
        ).id


def message_id(database: Database, mail_id: int) -> str:
    with database.read() as session:
        return session.get_one(desk.OutboundMail, mail_id).message_id


GONE = Returned(shop.DEMO_EMAIL, permanent=True, delayed=False, status="5.1.1", reason="no such user")
LATE = Returned(shop.DEMO_EMAIL, permanent=False, delayed=True, status="4.4.1", reason="no answer")
BOUNCE = {"kind": MailKind.BOUNCE, "sender": "mailer-daemon@relay.example", "reply_to": "", "silent": True}


def test_a_bounce_comes_back_to_its_mail_and_marks_the_address(database: Database) -> None:
    case = open_case(database)
    mail_id = out(database, case)
    close_at(database, case, timedelta(days=400))

    found = new_mail(database, **BOUNCE, original_ids=(message_id(database, mail_id),), returned=(GONE,))

    assert found is not None
    assert found.id == case
    assert cases(database) == 1
    (event,) = events(database, case, EventKind.UNDELIVERED)
    assert (event.body["outbound_id"], event.body["reason"], event.body["permanent"]) == (mail_id, "no such user", True)
    with database.read() as session:
        status = desk.outgoing(session, case)[mail_id]
        trouble = desk.trouble_with(session, shop.DEMO_EMAIL.upper())
        assert status.return_reason == "5.1.1 no such user"
        assert trouble is not None
        assert trouble.permanent
        assert desk.load(session, case).owner == Owner.QUEUE, "nobody else would ever tell the customer"
        latest = desk.latest_mail(session, case)
        assert latest is not None
        assert latest.kind == MailKind.PERSON, "an agent answers the customer, not the bounce"


def test_a_delay_calls_nobody_and_does_not_weaken_what_is_known(database: Database) -> None:
    case = open_case(database)
    mail_id = out(database, case)
    close_at(database, case, timedelta(days=1))
    ids = (message_id(database, mail_id),)

    new_mail(database, **BOUNCE, original_ids=ids, returned=(LATE,))
    with database.read() as session:
        assert desk.load(session, case).owner == Owner.BOT
        assert desk.outgoing(session, case)[mail_id].return_delayed
    new_mail(database, **BOUNCE, original_ids=ids, returned=(GONE,))
    new_mail(database, **BOUNCE, original_ids=ids, returned=(LATE,))

    with database.read() as session:
        assert not desk.outgoing(session, case)[mail_id].return_delayed
        trouble = desk.trouble_with(session, shop.DEMO_EMAIL)
        assert trouble is not None
        assert trouble.permanent


def test_a_bounce_to_the_signed_address_finds_its_case_without_an_original(database: Database) -> None:
    case = open_case(database)
    mail_id = out(database, case)
    found = new_mail(database, **BOUNCE, addressed=(case,), returned=(GONE,))
    assert found is not None
    assert events(database, case, EventKind.UNDELIVERED)[0].body["outbound_id"] == mail_id


@pytest.mark.parametrize("kind", [MailKind.BOUNCE, MailKind.AUTO_REPLY])
def test_machine_mail_about_nothing_we_know_opens_no_case_and_marks_nobody(database: Database, kind: MailKind) -> None:
    values = {**BOUNCE, "kind": kind, "returned": (GONE,), "original_ids": ("<x@y>",), "tags": ("00000000",)}
    assert new_mail(database, **values) is None
    assert cases(database) == 0
    with database.read() as session:
        assert desk.trouble_with(session, shop.DEMO_EMAIL) is None
        assert [each.kind for each in desk.unmatched(session)] == [kind]


def test_a_bounce_that_only_names_the_tag_is_not_believed(database: Database) -> None:
    case = open_case(database)
    out(database, case)
    assert new_mail(database, **BOUNCE, tags=(case[:8],), returned=(GONE,)) is None


def test_an_out_of_office_note_stands_in_its_case_and_calls_nobody(database: Database) -> None:
    case = open_case(database)
    close_at(database, case, timedelta(days=1))

    found = new_mail(database, kind=MailKind.AUTO_REPLY, silent=True, answered=(case,), text="Je suis absent.")

    assert found is not None
    assert found.id == case
    assert events(database, case, EventKind.AUTO_REPLY)[0].body["text"] == "Je suis absent."
    with database.read() as session:
        assert desk.load(session, case).owner == Owner.BOT


def test_an_out_of_office_note_of_a_stranger_joins_nothing(database: Database) -> None:
    case = open_case(database)
    assert new_mail(database, kind=MailKind.AUTO_REPLY, silent=True, answered=(case,), **STRANGER) is None
    assert events(database, case, EventKind.AUTO_REPLY) == []


def test_who_writes_again_can_be_written_to_again(database: Database) -> None:
    case = open_case(database)
    mail_id = out(database, case)
    new_mail(database, **BOUNCE, original_ids=(message_id(database, mail_id),), returned=(GONE,))
    file_mail(database, answered=(case,), forged=True)
    with database.read() as session:
        assert desk.trouble_with(session, shop.DEMO_EMAIL) is not None, "anybody can claim to be them"
    file_mail(database, answered=(case,))
    with database.read() as session:
        assert desk.trouble_with(session, shop.DEMO_EMAIL) is None


VICTIM, MALLORY = shop.DEMO_EMAIL, "mallory@evil.example"


@pytest.mark.parametrize("standing", [{}, {"forged": True}])
def test_who_is_only_named_is_not_led_into_a_strangers_case(database: Database, standing: dict[str, bool]) -> None:
    case = open_case(database, sender=VICTIM, reply_to=MALLORY, **standing)
    own = file_mail(database, tags=(case[:8],), sender=VICTIM, reply_to="", verified=True)
    assert own != case
    with database.read() as session:
        assert desk.load(session, own).contact == VICTIM
        assert desk.load(session, case).contact == MALLORY


def test_a_forged_sender_takes_part_once_they_were_written_to(database: Database) -> None:
    case = open_case(database, sender=VICTIM, reply_to="", forged=True)
    assert file_mail(database, tags=(case[:8],), sender=VICTIM, reply_to="") != case
    with database.begin() as session:
        desk.put_out(session, key="k", conversation_id=case, message_id="<o@shop>", recipient=VICTIM, raw=b"")
    assert file_mail(database, tags=(case[:8],), sender=VICTIM, reply_to="") == case


def test_a_verified_sender_with_two_addresses_takes_part_with_both(database: Database) -> None:
    case = open_case(database, sender=VICTIM, reply_to="office@example.net", verified=True)
    assert file_mail(database, tags=(case[:8],), sender="office@example.net", reply_to="") == case
    assert file_mail(database, tags=(case[:8],), sender=VICTIM, reply_to="") == case


def test_the_one_who_wrote_last_is_answered(database: Database) -> None:
    case = open_case(database, sender=VICTIM, reply_to="")
    with database.begin() as session:
        desk.put_out(
            session, key="k", conversation_id=case, message_id="<o@shop>", recipient="paul@example.net", raw=b""
        )
    file_mail(database, tags=(case[:8],), sender="paul@example.net", reply_to="")
    with database.read() as session:
        assert desk.load(session, case).contact == "paul@example.net"
    file_mail(database, tags=(case[:8],), sender=VICTIM, reply_to="", silent=True)
    with database.read() as session:
        assert desk.load(session, case).contact == "paul@example.net"
