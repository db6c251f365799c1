"""kill -9 at random while mail comes in and goes out: `python -m tests.bench.kills [--kills 200] [--mails 2000] [--blind]`.

A process with the real SMTP listener, a real Dovecot mailbox, the real workers and an agent who answers every mail is killed
at random moments and started again, on one SQLite file; mail goes out to an SMTP sink that is never killed. A mail counts as
come in when SMTP has said 250 or Dovecot has it. Every mail gets an acknowledgement by itself and an answer by the agent, both
once. Every third mail has a photo, half of them one that others have too. With `--blind` the sink cannot be asked what it
has, as a relay cannot. What the models say does not matter here: they are stood in for, so that a start takes a fraction of a
second. Leases and waits are shortened from minutes to seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import smtplib
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import func, select

import service.worker
import store.jobs
from desk import (
    Attachment,
    Channel,
    Conversation,
    InboundMail,
    OutboundMail,
    OutboundState,
    Owner,
    add_agent,
    claim_conversation,
    close,
    latest_mail,
    quarantined,
    read_again,
    send_answer,
)
from desk.mailbox import mail_digest
from service.mail_in import Listener
from service.mail_out import Relay, Sink
from service.mail_policy import MailPolicy
from service.settings import Mail, Mailbox, Settings
from service.wiring import House
from store import Database, FileStore, Job, JobState, migrate, utc_now
from tests.service.conftest import free_port
from tests.service.dovecot import dovecot_program, running
from tests.triage.reader import Reader

MOMENTS = (0.0, 0.4)
"""Seconds between the last mail that a process was let take in and its end."""
STILLBORN = 0.1
"""The share of processes that are killed while they start."""
RELAY_TAKES = 0.05
SHORT = timedelta(seconds=8)
PATIENCE = 900.0
SUBJECT = "Colis"


@dataclass(frozen=True)
class Stage:
    """What the processes share."""

    folder: Path
    listen_port: int
    sink_port: int
    mailbox: Mailbox | None
    blind: bool

    def settings(self) -> Settings:
        mail = Mail(
            listen_port=self.listen_port,
            sink_port=self.sink_port,
            mailboxes=(self.mailbox,) if self.mailbox else (),
            policy=MailPolicy(acknowledge=True, per_hour=10**6),
        )
        keys = {"secret_key": "s" * 40, "identity_key": "i" * 40}
        return Settings(data_dir=self.folder, worker_threads=1, mail=mail, **keys)

    @property
    def sent(self) -> Path:
        return self.folder / "mail" / "sent"


def letter(number: int) -> bytes:
    mail = EmailMessage()
    mail["From"] = f"Client {number} <client{number}@example.org>"
    mail["To"] = "contact@librairie-tournesol.example"
    mail["Subject"] = f"{SUBJECT} {number}"
    mail["Message-ID"] = f"<{number}@example.org>"
    mail.set_content(f"Bonjour, où est mon colis numéro {number} ?\n\nMerci\n")
    if has_photo(number):
        mail.add_attachment(photo(number), maintype="image", subtype="jpeg", filename=f"{number}.jpg")
        mail.set_boundary(f"photo{number}")  # the same bytes each time
    return mail.as_bytes().replace(b"\n", b"\r\n")


def has_photo(number: int) -> bool:
    return number % 3 == 0


def photo(number: int) -> bytes:
    return f"photo {number if number % 2 else number % 10} ".encode() * 5_000


# ---- the process that is killed


def live(stage: Stage) -> None:
    """What `comptoir serve` does with mail, and an agent; until it is killed."""
    os.nice(5)
    service.worker.MAIL_LEASE = service.worker.HANDOVER_LEASE = store.jobs.LEASE = SHORT
    service.worker.SWEEP_SECONDS = 1.0
    service.worker.ASK_AFTER = SHORT
    service.worker.READ_WAITS = (SHORT,)
    settings = stage.settings()
    database = Database(settings.database)
    relay = Relay.from_settings(settings.mail, stage.sent)
    nobody: Any = None
    unanswering: Any = SimpleNamespace(search=lambda *_: SimpleNamespace(answered=False, top=()))
    house = House(
        settings=settings,
        database=database,
        hours=settings.hours.calendar(),
        renderer=nobody,
        understanding=Reader(),  # type: ignore[arg-type]
        faq=unanswering,
        dialogue=nobody,
        relay=replace(relay, kept_in=None) if stage.blind else relay,
    )
    Listener(database, settings.mail).start()
    house.mailboxes.start()
    service.worker.Workers(house).start()
    while True:
        answer_all(house)
        time.sleep(0.05)


def answer_all(house: House) -> None:
    """The agent: takes whatever waits and answers it, in one transaction as the console does."""
    with house.database.read() as session:
        waiting = session.scalars(
            select(Conversation)
            .where(Conversation.owner == Owner.QUEUE, Conversation.channel == Channel.MAIL)
            .order_by(Conversation.queued_at)
            .limit(20)
        ).all()
        mails = {each.id: latest_mail(session, each.id) for each in waiting}
    for conversation in waiting:
        mail = mails[conversation.id]
        assert mail is not None
        composed = house.compose(conversation, mail, "Léa", f"Re: {conversation.subject}", "Il arrive demain.")
        known = {"message_id": composed.message_id, "recipient": composed.recipient, "raw": composed.raw}
        with house.database.begin() as session:
            if claim_conversation(session, conversation.id, 1):
                send_answer(session, conversation.id, 1, key=f"answer-{mail.id}", text="Il arrive demain.", **known)
                close(session, conversation.id, 1, seen=10**9)


class SlowSink(Sink):
    """Takes its time before it keeps a mail and before it says so, as relays do: the moments in which a kill hurts."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        await asyncio.sleep(random.uniform(0, RELAY_TAKES))
        said = await super().handle_DATA(server, session, envelope)
        await asyncio.sleep(random.uniform(0, RELAY_TAKES))
        return said


def keep_sink(folder: Path, port: int) -> None:
    SlowSink(folder, port).start()
    threading.Event().wait()


# ---- the world around it


class Customers:
    """They write as fast as they are let, by SMTP and into the mailbox, and try again until they are heard."""

    def __init__(self, stage: Stage, server: Any, mails: int) -> None:
        self._stage, self._server, self._mails = stage, server, mails
        self.taken: set[int] = set()
        self.refused = 0
        self.allowed = 0
        self._thread = threading.Thread(target=self._write, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def have_written(self, mails: float) -> bool:
        return len(self.taken) >= mails

    def done(self) -> bool:
        return len(self.taken) == self._mails

    def _write(self) -> None:
        for number in range(self._mails):
            while number >= self.allowed:
                time.sleep(0.02)
            if self._server is not None and number % 2:
                self._server.deliver("shop", letter(number))
            else:
                self._send(number)
            self.taken.add(number)

    def _send(self, number: int) -> None:
        while True:
            try:
                with smtplib.SMTP("127.0.0.1", self._stage.listen_port, timeout=20) as client:
                    client.sendmail(
                        f"client{number}@example.org", ["contact@librairie-tournesol.example"], letter(number)
                    )
                return
            except (OSError, smtplib.SMTPException):
                self.refused += 1
                time.sleep(0.05)


@dataclass
class Outcome:
    """What is left when all is quiet."""

    kills: int = 0
    in_flight: set[tuple[int, object]] = field(default_factory=set)
    """Mails of ours that were between the two commits when their process was killed, each handing over once."""
    reading: int = 0
    """Mails that were being read or sent when it was."""
    quarantined: int = 0
    seconds: float = 0.0


def run(stage: Stage, server: Any, kills: int, mails: int, seed: int) -> int:
    """Kill `kills` times while `mails` mails pass; prints what came of it and gives the exit code."""
    dice = random.Random(seed)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["service.worker", "tests.service.dovecot", "tests.triage.reader"])
    sink = processes.Process(target=keep_sink, args=(stage.sent, stage.sink_port), daemon=True)
    sink.start()
    database = Database(stage.settings().database)
    migrate(database)
    with database.begin() as session:
        add_agent(session, "lea", "Léa", "un mot de passe")
    customers = Customers(stage, server, mails)
    customers.start()
    outcome = Outcome()
    started = time.monotonic()
    each = mails / kills
    while outcome.kills < kills:
        # Spread over all lives, with some ahead: each life finds mail to take in and mail to send.
        customers.allowed = min(mails, 20 + mails * (outcome.kills + 1) // kills)
        process = processes.Process(target=live, args=(stage,), daemon=True)
        process.start()
        if dice.random() < STILLBORN:
            time.sleep(dice.uniform(0, 0.5))
        else:
            # However slow the machine, every life has its share of the mails, and ends somewhere within it.
            until = customers.allowed - 20 - dice.uniform(0, 2) * each
            wait_for(partial(customers.have_written, until))
            time.sleep(dice.uniform(*MOMENTS))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        outcome.kills += 1
        look(database, outcome)
        if outcome.kills % 20 == 0:
            print(f"{outcome.kills} kills, {len(customers.taken)} mails, {progress(database)}", file=sys.stderr)
    customers.allowed = mails
    process = processes.Process(target=live, args=(stage,), daemon=True)
    process.start()
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends and not (customers.done() and is_quiet(database, mails)):
        with database.begin() as session:
            for kept in quarantined(session):
                outcome.quarantined += read_again(session, kept.id)
        time.sleep(1.0)
    time.sleep(2.0)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    sink.kill()
    outcome.seconds = time.monotonic() - started
    return report(stage, database, customers, outcome, mails)


def wait_for(arrived: Callable[[], bool]) -> None:
    ends = time.monotonic() + 300
    while not arrived():
        if time.monotonic() > ends:
            raise RuntimeError("no mail comes in any more: run one process by hand")
        time.sleep(0.02)


def look(database: Database, outcome: Outcome) -> None:
    with database.read() as session:
        sending = select(OutboundMail.id, OutboundMail.handed_at).where(OutboundMail.state == OutboundState.SENDING)
        running_jobs = select(func.count()).where(Job.state == JobState.RUNNING, Job.leased_until > utc_now())
        outcome.in_flight |= {(mail_id, handed_at) for mail_id, handed_at in session.execute(sending)}
        outcome.reading += session.scalar(running_jobs) or 0


def progress(database: Database) -> str:
    with database.read() as session:
        states = session.execute(select(OutboundMail.state, func.count()).group_by(OutboundMail.state)).all()
        return f"{session.scalar(select(func.count()).select_from(InboundMail))} stored, {dict(map(tuple, states))}"


def is_quiet(database: Database, mails: int) -> bool:
    """Whether every mail is filed and both its replies have been decided."""
    decided = (OutboundState.SENT, OutboundState.DOUBTFUL, OutboundState.FAILED)
    with database.read() as session:
        filed = select(func.count()).where(InboundMail.filed_at.is_not(None))
        out = select(func.count()).where(OutboundMail.state.in_(decided))
        return session.scalar(filed) == mails and (session.scalar(out) or 0) >= 2 * mails


def report(stage: Stage, database: Database, customers: Customers, outcome: Outcome, mails: int) -> int:
    numbers = {mail_digest(letter(number)): number for number in customers.taken}
    with database.read() as session:
        digests = set(session.scalars(select(InboundMail.digest)))
        cases = session.scalar(select(func.count()).select_from(Conversation)) or 0
        states = dict(
            map(tuple, session.execute(select(OutboundMail.state, func.count()).group_by(OutboundMail.state)))
        )
        doubtful = select(OutboundMail.message_id).where(OutboundMail.state == OutboundState.DOUBTFUL)
        in_doubt = set(session.scalars(doubtful))
        attachments = session.scalars(select(Attachment)).all()
        damaged = sum(not is_intact(FileStore(stage.settings().attachments_dir), each) for each in attachments)
        with_photos = sum(map(has_photo, customers.taken))
    copies: Counter[str] = Counter()
    answered: dict[str, set[str]] = {"answer": set(), "acknowledgement": set()}
    parser = BytesHeaderParser()
    for path in stage.sent.glob("*.eml"):
        headers = parser.parsebytes(path.read_bytes())
        kind = "acknowledgement" if headers["Auto-Submitted"] else "answer"
        key = f"{kind} {headers['In-Reply-To']}"
        copies[key] += 1
        answered[kind].add(str(headers["In-Reply-To"]))
    lost = len(set(numbers) - digests)
    twice = sum(count - 1 for count in copies.values())
    missing = sum(f"<{number}@example.org>" not in found for found in answered.values() for number in customers.taken)
    rows = [
        ("mails sent to us (SMTP, Dovecot)", f"{mails} ({mails - mails // 2 if stage.mailbox else mails}, "
         f"{mails // 2 if stage.mailbox else 0})"),
        ("kills", outcome.kills),
        ("mails of ours cut off between the two commits", len(outcome.in_flight)),
        ("jobs cut off", outcome.reading),
        ("attempts that customers' servers had to repeat", customers.refused),
        ("went to the quarantine and were read again", outcome.quarantined),
        ("**mails lost**", lost),
        ("cases (one a mail)", cases),
        ("**replies sent twice**", twice),
        ("**replies lost** (neither at the sink nor put before an agent)", max(0, missing - len(in_doubt))),
        ("replies in doubt, put before an agent", len(in_doubt)),
        ("replies given up", states.get(OutboundState.FAILED, 0)),
        (f"photos at the desk, of {with_photos}", len(attachments)),
        ("**photos named without a whole file**", damaged),
        ("seconds", round(outcome.seconds)),
    ]  # fmt: skip
    print("| kill -9 | " + ("a relay that cannot be asked" if stage.blind else "the sink") + " |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    failed = lost or twice or damaged or missing > len(in_doubt) or cases != mails or len(attachments) != with_photos
    return 1 if failed else 0


def is_intact(files: FileStore, attachment: Attachment) -> bool:
    path = files.path(attachment.digest or "0" * 64)
    return path is not None and hashlib.sha256(path.read_bytes()).hexdigest() == attachment.digest


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blind", action="store_true", help="the relay cannot be asked what it has")
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    program = dovecot_program()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = stack.enter_context(running(program, free_port())) if program else None
        if server is None:
            print("Dovecot is not here (apt-get install dovecot-imapd): all mail comes by SMTP", file=sys.stderr)
        mailbox = server.mailbox("shop", poll_seconds=1) if server else None
        stage = Stage(folder, free_port(), free_port(), mailbox, wanted.blind)
        code = run(stage, server, wanted.kills, wanted.mails, wanted.seed)
    sys.exit(code)


if __name__ == "__main__":
    main()
