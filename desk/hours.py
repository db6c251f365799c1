"""Opening hours of the desk, and what can be promised to a shopper who asks for a human."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from desk.conversations import Promise, queue_position
from desk.tables import Conversation, Owner


@dataclass(frozen=True)
class OpeningHours:
    """When agents are there.

    `week` maps a weekday (0 is Monday) to its opening and closing time; a day that is not in it is closed, as are `holidays`.
    """

    zone: ZoneInfo
    week: Mapping[int, tuple[time, time]]
    holidays: frozenset[date] = frozenset()

    def is_open(self, moment: datetime) -> bool:
        local = moment.astimezone(self.zone)
        span = self._span(local.date())
        return span is not None and span[0] <= local.time() < span[1]

    def next_opening(self, moment: datetime) -> datetime | None:
        """The next time the desk opens, None when it is open now or never opens within a month."""
        if self.is_open(moment):
            return None
        local = moment.astimezone(self.zone)
        for ahead in range(32):
            day = local.date() + timedelta(days=ahead)
            span = self._span(day)
            if span is None:
                continue
            opens = datetime.combine(day, span[0], self.zone)
            if opens > local:
                return opens
        return None

    def answer_by(self, moment: datetime, within: timedelta) -> datetime | None:
        """When `within` of opening time has passed after `moment`, in the desk's zone; None when it does not in three months."""
        local, left = moment.astimezone(self.zone), within
        for ahead in range(92):
            day = local.date() + timedelta(days=ahead)
            span = self._span(day)
            if span is None:
                continue
            opens, closes = (datetime.combine(day, each, self.zone) for each in span)
            begins = max(opens, local)
            if begins + left <= closes:
                return begins + left
            left -= max(timedelta(0), closes - begins)
        return None

    def _span(self, day: date) -> tuple[time, time] | None:
        return None if day in self.holidays else self.week.get(day.weekday())


def make_promise(
    session: Session, conversation_id: str, hours: OpeningHours, moment: datetime, *, handling_minutes: int
) -> Promise:
    """Position, estimated wait in minutes and next opening for a conversation that is about to be (or is) queued.

    The estimate is position x `handling_minutes` shared among the agents who hold a conversation now (at least one).
    """
    position = queue_position(session, conversation_id)
    at_work = session.scalar(
        select(func.count(func.distinct(Conversation.agent_id))).where(Conversation.owner == Owner.AGENT)
    )
    return Promise(
        position=position,
        wait_minutes=-(-position * handling_minutes // max(at_work or 0, 1)),
        opens_at=hours.next_opening(moment),
    )
