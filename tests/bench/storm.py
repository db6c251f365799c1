"""A mail storm: two Comptoirs and robots that answer each other over loopback SMTP: `python -m tests.bench.storm [MAILS]`.

Each Comptoir has its own database, SMTP listener, outbox and workers, and a policy that answers and acknowledges. All mail
goes through one post office that is careless on purpose: it strips the marks of automatic mail from every second mail, so
that the Comptoirs cannot only rely on them. Three robots answer whatever they get: an honest one (Auto-Submitted), one
that only says so in its subject, and a rude one that looks like a customer in every respect. The robots, and each
Comptoir's address in the other's name, go on writing until MAILS mails have been taken in (default 10,000).

It ends with exit 1 when a mail is not stored, when one mail has two replies, or when more automatic mails have gone out
than the budget allows: one a case, three a day to one address, `PER_HOUR` in an hour to all.
"""

from __future__ import annotations

import logging
import re
import smtplib
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from itertools import count
from pathlib import Path
from queue import Queue
from typing import Any

import structlog
from aiosmtpd.controller import Controller
from sqlalchemy import func, select

from desk import Actor, AutomaticKind, Event, InboundMail, OutboundMail
from service.mail_in import Listener
from service.mail_out import Relay
from service.mail_policy import MailPolicy
from service.settings import Mail, Settings
from service.wiring import House, open_house
from service.worker import Workers
from store import Database, Job, JobState, migrate
from tests.service.conftest import free_port

MAILS = 10_000
PER_HOUR = 300
PER_ADDRESS = 3
CUSTOMERS = 400
"""Different addresses that the rude robot writes from."""
ASKED = (
    ("Retour", "Bonjour, comment renvoyer un article ? Merci"),
    ("Moyens de paiement", "Bonjour, quels moyens de paiement acceptez-vous ?"),
    ("Bonjour", "Je voudrais parler à un conseiller s'il vous plaît."),
    ("Return", "Hello, how do I return an item?"),
    ("Ma commande", "Où en est ma commande CMD-2026-104233 ?"),
    ("Colis", "Mon colis n'est toujours pas arrivé, c'est inadmissible !"),
)
_MARKS = re.compile(rb"^(?:Auto-Submitted|X-Auto-Response-Suppress|X-Loop):.*\r?\n(?:[ \t].*\r?\n)*", re.M | re.I)


@dataclass
class PostOffice:
    """Takes every mail, strips the marks from every second one, and brings it to the Comptoir or the robot it is for."""

    doors: dict[str, int]
    carried: Counter[str] = field(default_factory=Counter)
    _letters: Queue[tuple[str, str, bytes] | None] = field(default_factory=Queue)
    _number: count[int] = field(default_factory=lambda: count(1))

    def start(self) -> int:
        port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=port, data_size_limit=None)
        self._controller.start()
        self._carriers = [threading.Thread(target=self._carry, daemon=True) for _ in range(2)]
        for carrier in self._carriers:
            carrier.start()
        return port

    def stop(self) -> None:
        self._controller.stop()
        for _ in self._carriers:
            self._letters.put(None)
        for carrier in self._carriers:
            carrier.join()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        for recipient in envelope.rcpt_tos:
            self.post(envelope.mail_from or "", recipient, bytes(envelope.content))
        return "250 carried"

    def post(self, sender: str, recipient: str, raw: bytes) -> None:
        self._letters.put((sender, recipient, raw))

    @property
    def waiting(self) -> int:
        """How many letters have not been brought yet."""
        return self._letters.unfinished_tasks

    def _carry(self) -> None:
        while (letter := self._letters.get()) is not None:
            self._bring(*letter)
            self._letters.task_done()

    def _bring(self, sender: str, recipient: str, raw: bytes) -> None:
        number = next(self._number)
        raw = _MARKS.sub(b"", raw) if number % 2 else raw
        domain = recipient.rpartition("@")[2]
        self.carried[domain] += 1
        if domain not in self.doors:
            self.post(*robot_answer(recipient, raw, number))
            return
        with smtplib.SMTP("127.0.0.1", self.doors[domain]) as client:
            client.sendmail(sender, [recipient], f"X-Carried: {number}\r\n".encode() + raw)


def robot_answer(robot: str, raw: bytes, number: int) -> tuple[str, str, bytes]:
    """What the robot at this address answers to whatever it gets."""
    got = BytesParser(policy=SMTP.clone(raise_on_defect=False)).parsebytes(raw, headersonly=True)
    kind = robot.partition("-")[0]
    subject, body = ASKED[number % len(ASKED)]
    mail = written(robot, str((got["To"] and got["From"]) or ""), f"Re: {subject}", body, f"{number}-answer")
    if kind == "honest":
        mail["Auto-Submitted"] = "auto-replied"
    if kind in ("honest", "subject"):
        mail.replace_header("Subject", "Réponse automatique : je suis absent")
    to = str(mail["To"]).rpartition("<")[2].strip("> ")
    return robot, to, mail.as_bytes()


def written(sender: str, to: str, subject: str, body: str, unique: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{unique}@storm.example>"
    mail.set_content(body)
    return mail


def open_comptoir(first: House | None, folder: Path, domain: str, post_office: int) -> House:
    policy = MailPolicy.model_validate(
        {
            "default": {"action": "answer", "error_rate": 0.2},
            "acknowledge": True,
            "per_sender_and_day": PER_ADDRESS,
            "per_hour": PER_HOUR,
        }
    )
    mail = Mail(
        address=f"contact@{domain}",
        listen_port=free_port(),
        relay_host="127.0.0.1",
        relay_port=post_office,
        policy=policy,
    )
    settings = Settings(data_dir=folder, secret_key="s" * 40, identity_key="i" * 40, mail=mail)
    folder.mkdir()
    migrate(database := Database(f"sqlite:///{folder / 'comptoir.db'}"))
    house = open_house(settings) if first is None else first
    return replace(
        house,
        settings=settings,
        database=database,
        relay=Relay.from_settings(mail, settings.sink_dir),
        stopping=threading.Event(),
    )


def stored(house: House) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).select_from(InboundMail)) or 0


def unfinished(house: House) -> int:
    with house.database.read() as session:
        busy = Job.state.in_((JobState.WAITING, JobState.RUNNING))
        return session.scalar(select(func.count()).select_from(Job).where(busy)) or 0


@dataclass(frozen=True)
class Account:
    """What one Comptoir has done."""

    mails: int
    unread: int
    automatic: int
    answers: int
    in_a_case: int
    to_an_address: int
    handed_over: int

    @classmethod
    def of(cls, house: House) -> Account:
        with house.database.read() as session:

            def most(column: Any) -> int:
                counted = select(func.count()).where(OutboundMail.answers_id.is_not(None)).group_by(column)
                return max(session.scalars(counted).all(), default=0)

            automatic = select(func.count()).where(OutboundMail.answers_id.is_not(None))
            said = session.scalars(select(Event.body).where(Event.actor == Actor.BOT)).all()
            return cls(
                mails=stored(house),
                unread=session.scalar(select(func.count()).where(InboundMail.filed_at.is_(None))) or 0,
                automatic=session.scalar(automatic) or 0,
                answers=sum(body.get("automatic") == AutomaticKind.ANSWER for body in said),
                in_a_case=most(OutboundMail.conversation_id),
                to_an_address=most(OutboundMail.recipient),
                handed_over=session.scalar(automatic.where(OutboundMail.sent_at.is_not(None))) or 0,
            )

    def broken(self) -> list[str]:
        rules = {
            f"{self.unread} mails were not read": self.unread == 0,
            f"{self.in_a_case} automatic mails in one case": self.in_a_case <= 1,
            f"{self.to_an_address} automatic mails to one address": self.to_an_address <= PER_ADDRESS,
            f"{self.automatic} automatic mails in an hour": self.automatic <= PER_HOUR,
            f"{self.automatic - self.handed_over} automatic mails did not leave": self.automatic == self.handed_over,
        }
        return [said for said, kept in rules.items() if not kept]


def storm(folder: Path, wanted: int) -> int:
    office = PostOffice({})
    port = office.start()
    here = open_comptoir(None, folder / "a", "a.example", port)
    there = open_comptoir(here, folder / "b", "b.example", port)
    houses = (here, there)
    office.doors |= {"a.example": here.settings.mail.listen_port, "b.example": there.settings.mail.listen_port}
    listeners = [Listener(house.database, house.settings.mail) for house in houses]
    workers = [Workers(house) for house in houses]
    for each in (*listeners, *workers):
        each.start()
    began = time.monotonic()
    robots = ("honest-robot@robots.example", "subject-robot@robots.example", "rude-robot@robots.example")
    try:
        written_by_us = 0
        while sum(map(stored, houses)) + office.waiting < wanted:
            to = ("contact@a.example", "contact@b.example")[written_by_us % 2]
            other = ("contact@b.example", "contact@a.example")[written_by_us % 2]
            writers = (*robots, f"rude-{written_by_us // 5 % CUSTOMERS}@robots.example", other)
            sender = writers[written_by_us % len(writers)]
            subject, body = ASKED[written_by_us % len(ASKED)]
            office.post(sender, to, written(sender, to, subject, body, f"{written_by_us}-first").as_bytes())
            written_by_us += 1
            while office.waiting > 50:
                print(f"\r{sum(map(stored, houses))} of {wanted} mails", end="", file=sys.stderr, flush=True)
                time.sleep(0.1)
        while office.waiting or any(map(unfinished, houses)):
            time.sleep(0.5)
        seconds = time.monotonic() - began
    finally:
        for each in (*workers, *listeners):
            each.stop()
        office.stop()
    accounts = {house.settings.mail.address: Account.of(house) for house in houses}
    brought = {address: office.carried[address.partition("@")[2]] for address in accounts}
    faults = [f"{address}: {said}" for address, account in accounts.items() for said in account.broken()]
    print(
        "\n| | mails brought | stored | read | automatic mails | of these answers | most in a case | most to an address |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for address, account in accounts.items():
        print(
            f"| {address} | {brought[address]} | {account.mails} | {account.mails - account.unread} | "
            f"{account.automatic} (budget {PER_HOUR}) | {account.answers} | "
            f"{account.in_a_case} (1) | {account.to_an_address} ({PER_ADDRESS}) |"
        )
        if account.mails != brought[address]:
            faults.append(f"{address}: {brought[address]} mails brought, {account.mails} stored")
    total = sum(account.mails for account in accounts.values())
    print(
        f"\n{total} mails taken in, read and answered in {seconds:.0f} s, {total / seconds:.1f} a second; "
        f"the robots got {office.carried['robots.example']} and answered each."
    )
    print("\n".join(faults) or "Within the budget, nothing lost, nothing answered twice.")
    return 1 if faults else 0


def main() -> int:
    # Each mail would be a line or two otherwise.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        return storm(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else MAILS)


if __name__ == "__main__":
    sys.exit(main())
