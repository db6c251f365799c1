"""The workers: threads that claim jobs and carry them out, and a sweeper that puts back what a dead worker held.

Each handler does its work outside any transaction, then stores the result and finishes the job in one transaction; if the
lease was lost meanwhile the whole transaction is given up, so no result is stored twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from desk import (
    BOT_TURN,
    READ_MAIL,
    SEND_MAIL,
    Conversation,
    Event,
    InboundMail,
    OutboundMail,
    OutboundState,
    Owner,
    Returned,
    add_bot_replies,
    begin_sending,
    give_up_sending,
    leave_in_doubt,
    mark_sent,
    note_trouble,
    quarantine,
    wait_again,
)
from service.attachments import sweep_files
from service.automatic import file_and_answer
from service.mail_out import TEXT_SECONDS, NotTaken, PerhapsTaken
from service.mail_reading import SortedMail, sort_mails, study
from service.measures import DATABASE_SECONDS, JOBS, RASA_SECONDS, TURN_SECONDS, database_seconds
from service.wiring import House
from store import Job, JobState, claim, finish, give_up, hold_on, put_back, retry_later, sweep, utc_now
from store.jobs import TRIES as OTHER_TRIES
from store.jobs import topic
from triage import MAILS_TOGETHER

log = structlog.get_logger()

SWEEP_SECONDS = 5.0
FILES_EVERY_SECONDS = 3600.0
MAIL_LEASE = timedelta(seconds=180)
"""A lease outlives the longest honest handling: here a huge mail or a slow relay."""
BIG_MAIL = 2_000_000
"""Bytes; a bigger mail is read by itself, so that a heap of them does not lie in memory at once."""
HANDOVER_LEASE = timedelta(seconds=TEXT_SECONDS + 60)
"""While a relay has a mail's text, nobody else may touch that mail: it would ask, or doubt, too early."""
BOT_TRIES = 3
READ_TRIES = 3
"""Then the mail waits in the quarantine."""
READ_WAITS = (timedelta(seconds=10), timedelta(minutes=1))
SEND_TRIES = 35
"""With the waits below, about a day: what a relay that is down over night needs."""
ASK_AFTER = timedelta(minutes=1)
"""A relay that lost its connection to us may still be busy with the mail: it is asked only then."""
LONGEST_SEND_WAIT = timedelta(hours=1)
TRIES = {READ_MAIL: READ_TRIES, SEND_MAIL: SEND_TRIES}

Handler = Callable[[House, Job], None]


class LeaseLost(Exception):
    """Another worker has taken the job over; what this one found out is dropped."""


class Workers:
    """Threads for chat and for mail (so that a heap of mail never delays a shopper), and the sweeper."""

    def __init__(self, house: House) -> None:
        self._house = house
        answer, send = (partial(run_one, house, (kind,)) for kind in (BOT_TURN, SEND_MAIL))
        workers = [(f"chat-{index}", BOT_TURN, answer) for index in range(house.settings.worker_threads)]
        workers += [("mail-in", READ_MAIL, partial(read_some, house)), ("mail-out", SEND_MAIL, send)]
        self._threads = [
            threading.Thread(target=self._work, args=(kind, work), name=f"worker-{name}", daemon=True)
            for name, kind, work in workers
        ]
        self._threads.append(threading.Thread(target=self._sweep, name="worker-sweeper", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Let each worker finish what it holds, for at most `timeout` seconds; the rest is swept after the next start."""
        self._house.stopping.set()
        for kind in HANDLERS:
            self._house.database.bell.ring(topic(kind))
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, kind: str, work: Callable[[], bool]) -> None:
        with self._house.database.bell.listen(topic(kind)) as listener:
            while not self._house.stopping.is_set():
                try:
                    busy = work()
                except Exception:
                    log.exception("worker failed outside a job; it goes on")
                    busy = False
                if not busy:
                    listener.wait(SWEEP_SECONDS)

    def _sweep(self) -> None:
        files_due = time.monotonic()
        while not self._house.stopping.wait(SWEEP_SECONDS):
            try:
                sweep_once(self._house)
                if time.monotonic() >= files_due:
                    files_due = time.monotonic() + FILES_EVERY_SECONDS
                    sweep_files(self._house)
            except Exception:
                log.exception("sweep failed; it is tried again")


def sweep_once(house: House) -> None:
    """Put back what dead workers held; what has outlived too many becomes a human's."""
    with house.database.begin() as session:
        swept = sweep(session, tries_of=TRIES)
        for job in swept.given_up:
            _give_up(session, job, "no worker outlived it")
    if swept.put_back:
        log.warning("jobs put back after their worker died", jobs=swept.put_back)


def run_one(house: House, kinds: Sequence[str]) -> bool:
    """Claim and carry out one job of `kinds`; False when there was none. A failing job is put back, later and later."""
    before = database_seconds()
    with house.database.begin() as session:
        job = claim(session, kinds, lease=_chat_lease(house) if BOT_TURN in kinds else MAIL_LEASE)
    if job is None:
        return False
    _carry_out(house, job, HANDLERS[job.kind], before)
    return True


def read_some(house: House) -> bool:
    """Read the mails that wait, up to `MAILS_TOGETHER` of them together; False when there was none.

    A mail that was tried before may be what ended its reader: it is read alone.
    """
    before = database_seconds()
    with house.database.begin() as session:
        jobs: list[Job] = []
        while len(jobs) < MAILS_TOGETHER and (not jobs or jobs[0].attempts == 1):
            job = claim(session, (READ_MAIL,), lease=MAIL_LEASE, untried=bool(jobs))
            if job is None:
                break
            jobs.append(job)
    found = _sort_together(house, jobs) if len(jobs) > 1 else {}
    for place, job in enumerate(jobs):
        if house.stopping.is_set():
            with house.database.begin() as session:
                for untouched in jobs[place:]:
                    put_back(session, untouched)
            break
        try:
            with house.database.begin() as session:
                held = hold_on(session, job, MAIL_LEASE)
            if held:
                _carry_out(house, job, partial(read_mail, found=found.get(job.id)), before)
        except Exception:
            log.exception("a mail's failure could not be noted; it is read again when its lease is over", key=job.key)
        before = database_seconds()
    return bool(jobs)


def _sort_together(house: House, jobs: Sequence[Job]) -> dict[int, SortedMail]:
    """The mails of these jobs by the job, without those that are read alone: big ones, and any that was in the quarantine
    and may be what ended its reader. Empty when the rest cannot be read together."""
    try:
        together = (InboundMail.attempts == 0, func.length(InboundMail.raw) <= BIG_MAIL)
        job_of = {job.payload["mail_id"]: job.id for job in jobs}
        with house.database.read() as session:
            mails = session.scalars(select(InboundMail).where(InboundMail.id.in_(job_of), *together)).all()
        return {job_of[found.mail.id]: found for found in sort_mails(house, mails)}
    except Exception:
        log.exception("mails cannot be read together; each is read alone", mails=len(jobs))
        return {}


def _carry_out(house: House, job: Job, handler: Handler, before: float) -> None:
    """Let `handler` do a claimed job. `before`: the thread's database seconds when it was claimed."""
    try:
        handler(house, job)
        JOBS.labels(job.kind, "done").inc()
        DATABASE_SECONDS.labels(job.kind).observe(database_seconds() - before)
    except LeaseLost:
        JOBS.labels(job.kind, "lost").inc()
        log.warning("job taken over by another worker", kind=job.kind, key=job.key)
    except Exception as error:
        log.exception("job failed", kind=job.kind, key=job.key, attempt=job.attempts)
        with house.database.begin() as session:
            said = f"{type(error).__name__}: {error}"
            state = retry_later(session, job, said, tries=TRIES.get(job.kind, OTHER_TRIES), wait=_wait(job, error))
            if state == JobState.FAILED:
                _give_up(session, job, said)
        JOBS.labels(job.kind, state.value).inc()


def answer_turn(house: House, job: Job) -> None:
    """Let the bot answer one message, unless the conversation has left it."""
    conversation_id = job.payload["conversation_id"]
    with house.database.read() as session:
        conversation = session.get_one(Conversation, conversation_id)
        message = session.get_one(Event, (conversation_id, job.payload["number"]))
    bot_session = job.payload["bot_session"]
    replies = []
    # A message of an earlier session has had its answer from an agent.
    if conversation.owner == Owner.BOT and conversation.bot_session == bot_session:
        started = time.perf_counter()
        try:
            key = f"{conversation_id}/{message.number}"
            payloads = house.dialogue.turn(f"{conversation_id}:{bot_session}", message.body["text"], key=key)
            replies = [house.render(payload, conversation.language) for payload in payloads]
        except Exception as error:
            # Whatever it is that fails, the shopper is not left without a word.
            if job.attempts < BOT_TRIES:
                raise
            log.exception("the bot cannot answer; the shopper is told", error=str(error))
            replies = [house.render({"response": "notice_bot_unavailable"}, conversation.language)]
        RASA_SECONDS.observe(time.perf_counter() - started)
    with house.database.begin() as session:
        add_bot_replies(session, conversation_id, bot_session=bot_session, replies=replies)
        _finish(session, job)
    TURN_SECONDS.observe((utc_now() - message.at).total_seconds())


def read_mail(house: House, job: Job, found: SortedMail | None = None) -> None:
    """Read, sort (unless that is `found`) and file one mail, with a drafted reply or an automatic one."""
    if found is None:
        with house.database.read() as session:
            mail = session.get_one(InboundMail, job.payload["mail_id"])
        (found,) = sort_mails(house, [mail])
    studied = study(house, found)
    with house.database.begin() as session:
        file_and_answer(session, house, found.mail.id, studied)
        _finish(session, job)


def send_mail(house: House, job: Job) -> None:
    """Hand one mail to the relay, between two commits that say so."""
    with house.database.read() as session:
        mail = session.get_one(OutboundMail, job.payload["mail_id"])
    state = OutboundState(mail.state)
    if state == OutboundState.SENDING:
        state = _clear_up(house, job, mail)
        if state != OutboundState.WAITING:
            return
    if state == OutboundState.WAITING:
        try:
            _hand_over(house, job, mail)
        except NotTaken as refusal:
            with house.database.begin() as session:
                wait_again(session, mail.id, str(refusal))
                if refusal.recipient_unknown:
                    unknown = Returned(mail.recipient, True, False, refusal.status, str(refusal))
                    note_trouble(session, mail.recipient, unknown)
                if refusal.permanent and give_up(session, job, str(refusal)):
                    _give_up(session, job, str(refusal))
                    return
            raise
    with house.database.begin() as session:
        _finish(session, job)


def _hand_over(house: House, job: Job, mail: OutboundMail) -> None:
    """The moment in which nobody knows where the mail is begins with the first commit and ends with the second."""
    sender = house.case_signer.address_of(mail.conversation_id)
    with house.relay.accepting(mail.recipient, sender=sender) as relay:
        with house.database.begin() as session:
            if not hold_on(session, job, HANDOVER_LEASE) or not begin_sending(session, mail.id):
                raise LeaseLost(job.key)
        relay.give(mail.raw)
        with house.database.begin() as session:
            mark_sent(session, mail.id)


def _clear_up(house: House, job: Job, mail: OutboundMail) -> OutboundState:
    """What becomes of a mail that was in flight when its worker died or the connection broke. Unless it waits again, the job
    is done with the same commit: an agent who then sends the mail anew needs another."""
    taken = house.relay.has(mail.message_id)
    log.warning("a mail was in flight when its worker died", key=mail.key, taken=taken)
    with house.database.begin() as session:
        if taken:
            mark_sent(session, mail.id)
        elif taken is None:
            leave_in_doubt(session, mail.id, "")
        else:
            wait_again(session, mail.id, None)
        state = OutboundState(session.get_one(OutboundMail, mail.id, populate_existing=True).state)
        if state != OutboundState.WAITING:
            _finish(session, job)
        return state


HANDLERS: dict[str, Handler] = {BOT_TURN: answer_turn, READ_MAIL: read_mail, SEND_MAIL: send_mail}


def _chat_lease(house: House) -> timedelta:
    return timedelta(seconds=house.settings.turn_timeout_seconds + 15)


def _wait(job: Job, error: Exception) -> timedelta | None:
    """How long a failed job waits for its next try."""
    if isinstance(error, PerhapsTaken):
        return ASK_AFTER
    if job.kind == READ_MAIL:
        return READ_WAITS[min(job.attempts, len(READ_WAITS)) - 1]
    if job.kind == SEND_MAIL:
        return min(timedelta(seconds=2.0 ** min(job.attempts, 20)), LONGEST_SEND_WAIT)
    return None


def _give_up(session: Session, job: Job, error: str) -> None:
    """A job that nobody could do becomes a human's: nothing is dropped."""
    log.error("job given up; an agent gets it", kind=job.kind, key=job.key, error=error)
    if job.kind == READ_MAIL:
        quarantine(session, job.payload["mail_id"], failure=error, attempts=job.attempts)
    elif job.kind == SEND_MAIL:
        give_up_sending(session, job.payload["mail_id"], error)


def _finish(session: Session, job: Job) -> None:
    if not finish(session, job):
        raise LeaseLost(job.key)
