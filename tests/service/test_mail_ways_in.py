"""The other ways mail comes in: LMTP, the webhook, the import; and what `/metrics` and the desk say of it."""

from __future__ import annotations

import json
import mailbox
import os
import smtplib
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from sqlalchemy import select

from desk import READ_MAIL, Conversation, Event, EventKind, InboundMail, receive
from service import mail_in, worker
from service.cli import cli
from service.mail_in import Listener
from service.settings import Mail, Mailbox, RateLimits
from service.web import create_app
from service.wiring import House
from store import Database
from tests.service.conftest import free_port
from tests.service.test_mail import letter

TOKEN = "a token of thirty-two characters"
RFC822 = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "message/rfc822"}


def mails(database: Database) -> list[InboundMail]:
    with database.read() as session:
        return list(session.scalars(select(InboundMail).order_by(InboundMail.id)))


def with_mail(house: House, **values: Any) -> House:
    """The house with other `[mail]` settings."""
    settings = house.settings.model_copy(update={"mail": Mail.model_validate(values)})
    return replace(house, settings=settings)


# ---- names and addresses that are no text


def test_a_file_whose_name_is_no_text_is_taken_and_stops_nothing(database: Database, tmp_path: Path) -> None:
    for folder in (tmp_path / "drop", tmp_path / "archive"):
        folder.mkdir()
        for index, name in enumerate((b"commande_\xe9.eml", b"zzz.eml")):
            path = os.path.join(os.fsencode(folder), name)
            Path(os.fsdecode(path)).write_bytes(letter(subject=f"{folder.name} {index}"))
            os.utime(path, (0, 0))
    assert mail_in.DropFolder(database, tmp_path / "drop").take_once() == 2
    count = mail_in.import_mails(database, [tmp_path / "archive"], max_bytes=1024 * 1024)
    assert (count.new, count.failures) == (2, [])
    assert len(mails(database)) == 4
    assert len(list((tmp_path / "taken").iterdir())) == 2


def test_a_dropped_mail_that_cannot_be_stored_keeps_no_other_from_being_taken(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in = mail_in.take_in

    def fail_for_one(database: Database, raw: bytes, *rest: Any) -> mail_in.TakenMail:
        if b"impossible" in raw:
            raise OSError("disk full")
        return take_in(database, raw, *rest)

    monkeypatch.setattr(mail_in, "take_in", fail_for_one)
    for name, subject in (("a.eml", "impossible"), ("b.eml", "possible")):
        (tmp_path / "drop").mkdir(exist_ok=True)
        (tmp_path / "drop" / name).write_bytes(letter(subject=subject))
        os.utime(tmp_path / "drop" / name, (0, 0))
    folder = mail_in.DropFolder(database, tmp_path / "drop")
    assert folder.take_once() == 1
    monkeypatch.undo()
    assert folder.take_once() == 1


def test_an_envelope_sender_that_is_no_text_costs_no_mail(database: Database) -> None:
    mail = Mail(listen_port=free_port())
    listener = Listener(database, mail)
    listener.start()
    with socket.create_connection(("127.0.0.1", mail.listen_port)) as line, line.makefile("rwb") as talk:
        said = [talk.readline()]
        for word in (
            b"HELO x",
            b"MAIL FROM:<jos\xe9@example.org>",
            b"RCPT TO:<a@b.example>",
            b"DATA",
            letter() + b"\r\n.",
        ):
            talk.write(word + b"\r\n")
            talk.flush()
            said.append(talk.readline())
    listener.stop()
    assert said[-1].startswith(b"250")
    [kept] = mails(database)
    assert kept.envelope_from == "jos\ufffd@example.org"


# ---- LMTP


@pytest.fixture
def lmtp(database: Database) -> Iterator[smtplib.LMTP]:
    mail = Mail(listen_port=free_port(), lmtp_port=free_port(), max_bytes=1024 * 1024)
    listener = Listener(database, mail)
    listener.start()
    with smtplib.LMTP("127.0.0.1", mail.lmtp_port or 0) as client:
        yield client
    listener.stop()


def hand_over(lmtp: smtplib.LMTP, raw: bytes, *recipients: str) -> list[int]:
    """The codes that LMTP answers, one a recipient."""
    lmtp.ehlo()  # which says LHLO here
    lmtp.docmd("MAIL FROM:<camille.martin@example.org>")
    for recipient in recipients:
        lmtp.docmd(f"RCPT TO:<{recipient}>")
    codes = [lmtp.data(raw.replace(b"\n", b"\r\n"))[0]]
    return codes + [lmtp.getreply()[0] for _ in recipients[1:]]


def test_lmtp_says_250_for_each_recipient_after_the_mail_is_stored(lmtp: smtplib.LMTP, database: Database) -> None:
    codes = hand_over(lmtp, letter(), "contact@shop.example", "sav@shop.example")

    assert codes == [250, 250]
    assert lmtp.noop()[0] == 250, "not one answer too many"
    (mail,) = mails(database)
    assert mail.source.startswith("lmtp:127.0.0.1")
    assert mail.envelope_from == "camille.martin@example.org"


def test_lmtp_refuses_a_mail_too_big_for_each_recipient(lmtp: smtplib.LMTP, database: Database) -> None:
    codes = hand_over(lmtp, letter(body="x\n" * 600_000), "contact@shop.example", "sav@shop.example")

    assert codes == [552, 552]
    assert lmtp.noop()[0] == 250
    assert mails(database) == []


def test_lmtp_asks_to_try_again_when_nothing_is_stored(lmtp: smtplib.LMTP, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(mail_in, "take_in", disk_full)

    assert hand_over(lmtp, letter(), "contact@shop.example", "sav@shop.example") == [451, 451]


def test_a_line_longer_than_the_rfc_allows_is_no_reason_to_lose_a_mail(lmtp: smtplib.LMTP, database: Database) -> None:
    raw = b"Subject: html\nContent-Type: text/html\n\n" + b"<p>bonjour</p>" * 3000

    assert hand_over(lmtp, raw, "contact@shop.example") == [250]
    assert b"<p>bonjour</p>" * 3000 in mails(database)[0].raw


# ---- the webhook


@pytest.fixture
def webhook(house: House) -> FlaskClient:
    return create_app(with_mail(house, webhook_token=TOKEN, max_bytes=2 * 1024 * 1024)).test_client()


def test_the_webhook_says_202_after_the_mail_is_stored(webhook: FlaskClient, house: House) -> None:
    answer = webhook.post("/api/v1/mail", data=letter(), headers=RFC822)

    (mail,) = mails(house.database)
    assert (answer.status_code, answer.json) == (202, {"id": mail.id, "new": True})
    assert mail.raw == letter()
    assert worker.run_one(house, [READ_MAIL])


def test_the_webhook_takes_the_same_mail_once(webhook: FlaskClient, house: House) -> None:
    answers = [webhook.post("/api/v1/mail", data=letter(), headers=RFC822).json for _ in range(3)]

    assert [each["new"] for each in answers] == [True, False, False]
    assert len({each["id"] for each in answers}) == len(mails(house.database)) == 1


@pytest.mark.parametrize(
    ("status", "data", "headers", "says"),
    [
        (401, b"x", {"Content-Type": "message/rfc822"}, "token"),
        (401, b"x", {**RFC822, "Authorization": "Bearer other"}, "token"),
        (401, b"x", {**RFC822, "Authorization": f"Basic {TOKEN}"}, "token"),
        (401, b"x", {**RFC822, "Authorization": "Bearer clé"}, "token"),
        (415, b"{}", {**RFC822, "Content-Type": "application/json"}, "message/rfc822"),
        (413, b"Subject: x\r\n\r\n" + b"x" * 2 * 1024 * 1024, RFC822, "max_bytes"),
        (400, b"", RFC822, "empty"),
    ],
)
def test_the_webhook_says_why_it_takes_nothing(
    webhook: FlaskClient, house: House, status: int, data: bytes, headers: dict[str, str], says: str
) -> None:
    answer = webhook.post("/api/v1/mail", data=data, headers=headers)

    assert answer.status_code == status
    assert says in answer.json["message"]
    assert mails(house.database) == []


def test_the_webhook_takes_a_mail_bigger_than_other_requests_may_be(webhook: FlaskClient) -> None:
    raw = letter(body="x\n" * 800_000)

    assert webhook.post("/api/v1/mail", data=raw, headers=RFC822).status_code == 202


def test_without_a_token_there_is_no_webhook(client: FlaskClient) -> None:
    assert client.post("/api/v1/mail", data=letter(), headers=RFC822).status_code == 404


def test_guessing_the_token_is_slowed_down_and_delivering_is_not(house: House) -> None:
    house = with_mail(house, webhook_token=TOKEN)
    limits = RateLimits(login="3 per minute")
    house = replace(house, settings=house.settings.model_copy(update={"limits": limits}))
    webhook = create_app(house).test_client()
    wrong = {**RFC822, "Authorization": "Bearer guess"}

    assert {webhook.post("/api/v1/mail", data=letter(), headers=RFC822).status_code for _ in range(6)} == {202}
    assert [webhook.post("/api/v1/mail", data=b"x", headers=wrong).status_code for _ in range(4)] == [401] * 3 + [429]


# ---- the import


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`comptoir mail import` on an installation of its own."""
    monkeypatch.setenv("COMPTOIR_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("COMPTOIR_MAIL__MAX_BYTES", str(1024 * 1024))
    return lambda *arguments: CliRunner().invoke(cli, ["mail", "import", *map(str, arguments)])


def test_maildirs_mbox_files_and_single_mails_are_imported_once(
    imported: Callable[..., Result], tmp_path: Path
) -> None:
    maildir = mailbox.Maildir(tmp_path / "Maildir")
    for subject in ("un", "deux"):
        maildir.add(letter(subject))
    mbox = mailbox.mbox(tmp_path / "archive.mbox")
    for subject in ("trois", "quatre"):
        mbox.add(mailbox.mboxMessage(letter(subject)))
    mbox.flush()
    (tmp_path / "cinq.eml").write_bytes(letter("cinq").replace(b"\n", b"\r\n"))
    paths = [tmp_path / "Maildir", tmp_path / "archive.mbox", tmp_path / "cinq.eml"]

    first, second = imported(*paths), imported("--json", *paths)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == "5 new, 0 known already, 0 failed\n"
    assert json.loads(second.stdout) == {"new": 0, "known": 5, "failed": []}
    assert len(mails(Database(f"sqlite:///{tmp_path / 'var' / 'comptoir.db'}"))) == 5


def test_what_cannot_be_imported_is_named_with_the_remedy_and_stops_nothing(
    imported: Callable[..., Result], tmp_path: Path
) -> None:
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "a-empty.eml").write_bytes(b"")
    (folder / "b-big.eml").write_bytes(letter("gros", "x\n" * 600_000))
    (folder / "c-good.eml").write_bytes(letter("bon"))

    result = imported(tmp_path / "nowhere.eml", folder)

    assert result.exit_code == 1
    assert result.stdout == "1 new, 0 known already, 3 failed\n"
    lines = [line for line in result.stderr.splitlines() if ".eml: " in line]
    assert len(lines) == 3
    for line, place, remedy in zip(
        lines,
        ("nowhere.eml", "a-empty.eml", "b-big.eml"),
        ("check that it is there", "delete it", "raise it"),
        strict=True,
    ):
        assert place in line
        assert remedy in line


# ---- what is told of it


def test_the_metrics_count_the_queue_the_jobs_and_the_mailboxes(house: House) -> None:
    mailbox = Mailbox(name="sav", host="127.0.0.1", port=free_port(), tls="none", user="sav", password="x")
    house = with_mail(house, mailboxes=[mailbox.model_dump()])
    client = create_app(house).test_client()
    for subject in ("un", "deux"):
        mail_in.take_in(house.database, letter(subject), "test")
    worker.run_one(house, [READ_MAIL])

    text = client.get("/metrics").text

    for line in (
        'comptoir_queue_conversations{channel="mail"} 1.0',
        'comptoir_queue_conversations{channel="chat"} 0.0',
        'comptoir_job_rows{kind="read_mail",state="waiting"} 1.0',
        'comptoir_mailbox_up{mailbox="sav"} 1.0',
    ):
        assert line in text.splitlines()
    assert "comptoir_mailbox_last_contact_timestamp_seconds{" not in text, "there was none yet"


def test_a_mail_of_which_only_the_beginning_is_here_is_filed_as_such(house: House) -> None:
    with house.database.begin() as session:
        receive(session, letter(), source="imap:sav/INBOX#7", whole_bytes=80_000_000)
    assert worker.run_one(house, [READ_MAIL])

    with house.database.read() as session:
        conversation = session.scalars(select(Conversation)).one()
        message = session.scalars(select(Event).where(Event.kind == EventKind.MESSAGE)).one()
    assert conversation.owner == "queue"
    assert message.body["whole_bytes"] == 80_000_000
