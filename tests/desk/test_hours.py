"""Opening hours, and what a shopper who asks for a human is promised."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

import desk
from desk import OpeningHours
from store import Database
from tests.desk.scenes import open_chat

PARIS = ZoneInfo("Europe/Paris")
HOURS = OpeningHours(
    PARIS,
    {**dict.fromkeys(range(5), (time(9), time(19))), 5: (time(10), time(18))},
    frozenset({date(2026, 12, 25)}),
)


def paris(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-11-23 09:00", None),
        ("2026-11-23 08:59", "2026-11-23 09:00"),
        ("2026-11-23 19:00", "2026-11-24 09:00"),
        ("2026-11-27 20:00", "2026-11-28 10:00"),
        ("2026-11-28 18:00", "2026-11-30 09:00"),
        ("2026-12-24 19:30", "2026-12-26 10:00"),
        ("2026-10-24 23:00", "2026-10-26 09:00"),  # summer time ends in between
    ],
)
def test_the_next_opening(moment: str, opens: str | None) -> None:
    assert HOURS.next_opening(paris(moment)) == (paris(opens) if opens else None)
    assert HOURS.is_open(paris(moment)) == (opens is None)


@pytest.mark.parametrize(
    ("moment", "hours", "by"),
    [
        ("2026-11-23 10:00", 4, "2026-11-23 14:00"),
        ("2026-11-23 15:00", 4, "2026-11-23 19:00"),
        ("2026-11-23 17:00", 4, "2026-11-24 11:00"),
        ("2026-11-23 03:00", 4, "2026-11-23 13:00"),
        ("2026-11-27 18:00", 10, "2026-11-30 10:00"),  # an hour on Friday, eight on Saturday, one on Monday
        ("2026-12-24 18:00", 2, "2026-12-26 11:00"),
    ],
)
def test_an_answer_is_promised_by_opening_hours(moment: str, hours: int, by: str) -> None:
    assert HOURS.answer_by(paris(moment), timedelta(hours=hours)) == paris(by)


def test_a_desk_that_never_opens_promises_nothing() -> None:
    assert OpeningHours(PARIS, {}).answer_by(paris("2026-11-23 10:00"), timedelta(hours=1)) is None


def test_hours_are_the_shops_wherever_the_clock_stands() -> None:
    assert HOURS.is_open(datetime(2026, 11, 23, 3, 30, tzinfo=ZoneInfo("America/New_York")))


def test_a_desk_that_never_opens_promises_no_opening() -> None:
    assert OpeningHours(PARIS, {}).next_opening(paris("2026-11-23 12:00")) is None


def test_the_wait_is_shared_among_the_agents_at_work(database: Database, agents: tuple[int, int]) -> None:
    held = [open_chat(database, "bonjour", queued=True) for _ in agents]
    waiting = [open_chat(database, "bonjour", queued=True) for _ in range(3)]
    with database.begin() as session:
        for chat, agent in zip(held, agents, strict=True):
            desk.claim_conversation(session, chat, agent)
        promise = desk.make_promise(session, waiting[2], HOURS, paris("2026-11-29 12:00"), handling_minutes=4)

    assert promise.position == 3
    assert promise.wait_minutes == 6
    assert promise.opens_at == paris("2026-11-30 09:00")
