"""Whose turn it is: the five rules at the desk, raced, repeated and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

import desk
from desk import Actor, Conversation, Event, EventKind, Owner
from store import Database, Job
from tests.desk.scenes import PROMISE, open_chat


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run `acts` in threads that start together; their results in order."""
    start = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def run(index: int) -> None:
        start.wait()
        results[index] = acts[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def conversation(database: Database, conversation_id: str) -> Conversation:
    with database.read() as session:
        return desk.load(session, conversation_id)


def events(database: Database, conversation_id: str, kind: EventKind | None = None) -> list[Event]:
    with database.read() as session:
        found = desk.events_after(session, conversation_id)
    return [event for event in found if kind is None or event.kind == kind]


def claim(database: Database, conversation_id: str, agent_id: int) -> bool:
    with database.begin() as session:
        return desk.claim_conversation(session, conversation_id, agent_id)


def close(database: Database, conversation_id: str, agent_id: int, *, seen: int) -> bool:
    with database.begin() as session:
        return desk.close(session, conversation_id, agent_id, seen=seen)


def post(database: Database, conversation_id: str, text: str, *, client_id: str, human: bool = False) -> int:
    with database.begin() as session:
        return desk.post_message(session, conversation_id, client_id, text, wants_human=human, promise=PROMISE).number


@pytest.mark.parametrize("_round", range(5))
def test_of_two_agents_who_claim_at_once_exactly_one_gets_it(
    database: Database, agents: tuple[int, int], _round: int
) -> None:
    chat = open_chat(database, "un conseiller svp", queued=True)

    got = at_once(*(lambda agent=agent: claim(database, chat, agent) for agent in agents))

    assert sorted(got) == [False, True]
    assert conversation(database, chat).agent_id == agents[got.index(True)]
    assert len(events(database, chat, EventKind.CLAIMED)) == 1


def test_an_agent_killed_between_claim_and_commit_has_claimed_nothing(
    database: Database, agents: tuple[int, int]
) -> None:
    chat = open_chat(database, "bonjour", queued=True)
    program = f"""
import sys
import desk
from store import Database
with Database({str(database.url)!r}).begin() as session:
    assert desk.claim_conversation(session, {chat!r}, {agents[0]})
    print("claimed", flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"claimed\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)

    assert conversation(database, chat).owner == Owner.QUEUE
    assert claim(database, chat, agents[1])


def test_the_same_message_from_two_threads_is_one_row(database: Database) -> None:
    chat, client_id = open_chat(database), str(uuid.uuid4())

    numbers = at_once(*[lambda: post(database, chat, "où est ma commande ?", client_id=client_id)] * 2)

    assert numbers[0] == numbers[1]
    assert [event.body["text"] for event in events(database, chat, EventKind.MESSAGE)] == ["où est ma commande ?"]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1


def test_events_are_numbered_without_gaps_while_many_write(database: Database) -> None:
    chat = open_chat(database)

    at_once(*[lambda: post(database, chat, "encore", client_id=str(uuid.uuid4())) for _ in range(8)])

    assert [event.number for event in events(database, chat)] == list(range(1, 10))


def test_one_word_in_the_middle_changes_no_language(database: Database) -> None:
    conversation_id = open_chat(database)
    for number, (text, language, then) in enumerate(
        [
            ("hello", "en", "en"),
            ("merci", "fr", "en"),
            ("où est mon colis ?", "fr", "fr"),
            ("thanks", "en", "fr"),
            ("?", None, "fr"),
        ]
    ):
        with database.begin() as session:
            desk.post_message(
                session, conversation_id, f"m{number}", text, wants_human=False, promise=PROMISE, language=language
            )
        assert conversation(database, conversation_id).language == then


def test_the_conversation_follows_the_shoppers_language_but_not_that_of_a_title_it_offered(database: Database) -> None:
    conversation_id = open_chat(database)
    with database.begin() as session:
        offer = {"text": "Which one?\n\n- Cuisiner les restes\n- Manuel du potager (livre numérique)", "buttons": []}
        desk.add_bot_replies(session, conversation_id, bot_session=1, replies=[offer])
    before = conversation(database, conversation_id).language
    for number, (text, language) in enumerate([("le manuel du potager", "xx"), ("und wo ist mein Paket?", "de")]):
        with database.begin() as session:
            desk.post_message(
                session, conversation_id, f"m{number}", text, wants_human=False, promise=PROMISE, language=language
            )
        assert conversation(database, conversation_id).language == (before if language == "xx" else "de")


def test_asking_for_a_human_queues_the_conversation_with_the_message_that_asks(database: Database) -> None:
    chat = open_chat(database)

    post(database, chat, "je veux parler à quelqu'un", client_id=str(uuid.uuid4()), human=True)

    kept = conversation(database, chat)
    assert kept.owner == Owner.QUEUE
    assert kept.queued_at is not None
    assert [event.kind for event in events(database, chat)] == [
        EventKind.OPENED,
        EventKind.MESSAGE,
        EventKind.ESCALATED,
    ]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0, "the bot is given no turn"


def test_when_asking_for_a_human_fails_half_way_nothing_of_it_is_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = open_chat(database)

    def power_cut(*_: Any, **__: Any) -> bool:
        raise OSError("power cut")

    monkeypatch.setattr("desk.conversations.escalate", power_cut)
    with pytest.raises(OSError, match="power cut"):
        post(database, chat, "un humain !", client_id=str(uuid.uuid4()), human=True)

    assert [event.kind for event in events(database, chat)] == [EventKind.OPENED]
    assert conversation(database, chat).owner == Owner.BOT


def test_asking_again_while_waiting_keeps_the_place_in_the_queue(database: Database) -> None:
    chat = open_chat(database, "un conseiller", queued=True)
    since = conversation(database, chat).queued_at

    post(database, chat, "alors ? un humain !", client_id=str(uuid.uuid4()), human=True)

    assert conversation(database, chat).queued_at == since
    assert len(events(database, chat, EventKind.ESCALATED)) == 2, "the shopper is told the promise again"


def test_the_bot_is_silent_once_the_conversation_has_left_it(database: Database) -> None:
    chat = open_chat(database, "bonjour")
    before = conversation(database, chat).bot_session
    with database.begin() as session:
        desk.escalate(session, chat, reason="button", promise=PROMISE)

    with database.begin() as session:
        stored = desk.add_bot_replies(session, chat, bot_session=before, replies=[{"text": "Trop tard"}])

    assert stored == []
    assert all(event.actor != Actor.BOT for event in events(database, chat))


def test_a_late_reply_does_not_reach_the_bots_next_session(database: Database, agents: tuple[int, int]) -> None:
    chat = open_chat(database, "bonjour")
    before = conversation(database, chat).bot_session
    with database.begin() as session:
        desk.escalate(session, chat, reason="button", promise=PROMISE)
        desk.claim_conversation(session, chat, agents[0])
        desk.close(session, chat, agents[0], seen=10**6)
    assert conversation(database, chat).owner == Owner.BOT

    with database.begin() as session:
        assert desk.add_bot_replies(session, chat, bot_session=before, replies=[{"text": "Trop tard"}]) == []


def test_only_the_agent_who_holds_a_conversation_may_answer_release_or_close_it(
    database: Database, agents: tuple[int, int]
) -> None:
    lea, karim = agents
    chat = open_chat(database, "bonjour", queued=True)
    claim(database, chat, lea)

    with database.begin() as session:
        assert desk.answer(session, chat, karim, "moi !") is None
        assert not desk.release(session, chat, karim)
        assert not desk.close(session, chat, karim, seen=10**6)
        assert desk.answer(session, chat, lea, "bonjour") is not None


def test_a_message_the_agent_has_not_seen_keeps_the_conversation_open(
    database: Database, agents: tuple[int, int]
) -> None:
    chat = open_chat(database, "un conseiller svp", queued=True)
    claim(database, chat, agents[0])
    seen = events(database, chat)[-1].number
    number = post(database, chat, "encore une question", client_id=str(uuid.uuid4()))

    assert not close(database, chat, agents[0], seen=seen)
    assert conversation(database, chat).owner == Owner.AGENT
    assert events(database, chat, EventKind.CLOSED) == []
    assert close(database, chat, agents[0], seen=number)


def test_what_others_did_unseen_does_not_keep_a_conversation_open(database: Database, agents: tuple[int, int]) -> None:
    chat = open_chat(database, "un conseiller svp", queued=True)
    claim(database, chat, agents[0])
    seen = events(database, chat, EventKind.MESSAGE)[-1].number
    with database.begin() as session:
        desk.answer(session, chat, agents[0], "Au revoir")

    assert close(database, chat, agents[0], seen=seen)


@pytest.mark.parametrize("_round", range(5))
def test_of_a_message_and_a_closing_at_once_the_message_is_owed_an_answer(
    database: Database, agents: tuple[int, int], _round: int
) -> None:
    chat = open_chat(database, "un conseiller svp", queued=True)
    claim(database, chat, agents[0])
    seen = events(database, chat)[-1].number
    with database.read() as session:
        jobs = session.scalar(select(func.count()).select_from(Job)) or 0

    _, closed = at_once(
        lambda: post(database, chat, "encore une question", client_id=str(uuid.uuid4())),
        lambda: close(database, chat, agents[0], seen=seen),
    )

    with database.read() as session:
        turns = (session.scalar(select(func.count()).select_from(Job)) or 0) - jobs
    assert (conversation(database, chat).owner, turns) == ((Owner.BOT, 1) if closed else (Owner.AGENT, 0))


def test_a_released_conversation_goes_back_to_its_old_place(database: Database, agents: tuple[int, int]) -> None:
    first, second = (open_chat(database, text, queued=True) for text in ("un", "deux"))
    claim(database, first, agents[0])
    with database.begin() as session:
        desk.release(session, first, agents[0])

    with database.read() as session:
        assert [each.id for each in desk.queue(session)] == [first, second]
        assert desk.queue_position(session, second) == 2
