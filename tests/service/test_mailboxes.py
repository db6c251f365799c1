"""Mailboxes at a real IMAP server: nothing lost, nothing twice, and an alarm when nobody reads them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError
from pydantic import ValidationError
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from desk import InboundMail, MailAside, MailboxState, Trouble, receive
from desk.mailboxes import ASIDE_TRIES
from service.access_tokens import AccessTokens, TokenError
from service.mailboxes import Mailboxes, MailboxReader, waiting_seconds
from service.settings import ROOT, Attachments, Mail, Mailbox, OAuth, Settings
from store import Database
from tests.service.conftest import free_port
from tests.service.dovecot import PASSWORD, Dovecot, access_token, dovecot_program, running

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def program() -> str:
    found = dovecot_program()
    if found is None:
        pytest.skip("Dovecot is not here: apt-get install dovecot-imapd")
    return found


@pytest.fixture(scope="module")
def _server(program: str) -> Iterator[Dovecot]:
    with running(program, free_port(), tls_port=free_port()) as server:
        yield server


@pytest.fixture
def server(_server: Dovecot) -> Dovecot:
    """Dovecot with empty mailboxes."""
    for user in ("shop", "other"):
        with _server.client(user) as client:
            client.delete_messages(client.search("ALL"))
            client.expunge()
            for *_, folder in client.list_folders():
                if folder != "INBOX":
                    client.delete_folder(folder)
    return _server


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


def letter(subject: str, body: str = "Où est mon colis ?") -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "camille@example.org", "contact@shop.example", subject
    mail["Message-ID"] = f"<{subject.replace(' ', '-')}@example.org>"
    mail.set_content(body)
    return bytes(mail).replace(b"\n", b"\r\n")


def reader_of(database: Database, mailbox: Mailbox, **values: Any) -> MailboxReader:
    return MailboxReader(database, mailbox, **{"max_bytes": 50 * MEGABYTE, **values})


def subjects(database: Database) -> list[str]:
    """The subjects of the mails we have, in the order they came."""
    with database.read() as session:
        mails = session.scalars(select(InboundMail).order_by(InboundMail.id)).all()
    return [mail.raw.partition(b"Subject: ")[2].split(b"\r\n")[0].split(b"\n")[0].decode() for mail in mails]


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)


# ---- taking in


def test_a_mail_is_taken_in_whole_and_marked_as_seen(server: Dovecot, database: Database) -> None:
    raw = letter("un")
    server.deliver("shop", raw)

    assert reader_of(database, server.mailbox("shop")).read_once() == 1

    with database.read() as session:
        mail = session.scalars(select(InboundMail)).one()
    assert mail.raw == raw
    assert mail.source.startswith("imap:shop/INBOX#")
    assert list(server.flags("shop").values()) == [{b"\\Seen"}]


def test_a_mail_is_taken_once_and_a_new_one_the_next_time(server: Dovecot, database: Database) -> None:
    reader = reader_of(database, server.mailbox("shop"))
    server.deliver("shop", letter("un"), letter("deux"))

    counts = [reader.read_once(), reader.read_once()]
    server.deliver("shop", letter("trois"))
    counts.append(reader.read_once())

    assert counts == [2, 0, 1]
    assert subjects(database) == ["un", "deux", "trois"]


def test_what_somebody_has_read_meanwhile_is_taken_all_the_same(server: Dovecot, database: Database) -> None:
    reader = reader_of(database, server.mailbox("shop"))
    reader.read_once()
    server.deliver("shop", letter("lu sur le telephone"), seen=True)

    reader.read_once()

    assert subjects(database) == ["lu sur le telephone"]


def test_the_history_of_a_mailbox_is_left_alone_and_its_unread_mail_is_not(server: Dovecot, database: Database) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    server.deliver("shop", letter("ancien"), seen=True, at=long_ago)
    server.deliver("shop", letter("ancien non lu"), at=long_ago)
    server.deliver("shop", letter("lu hier"), seen=True, at=datetime.now(UTC) - timedelta(days=1))
    reader = reader_of(database, server.mailbox("shop"))

    reader.read_once()
    with server.client("shop") as client:
        client.remove_flags(client.search("ALL"), [b"\\Seen"])
    reader.read_once()

    assert subjects(database) == ["ancien non lu"]


@pytest.mark.parametrize("can_move", [True, False])
def test_a_mail_can_be_moved_after_intake(
    server: Dovecot, database: Database, monkeypatch: pytest.MonkeyPatch, can_move: bool
) -> None:
    if not can_move:
        has = IMAPClient.has_capability
        monkeypatch.setattr(IMAPClient, "has_capability", lambda self, name: name != "MOVE" and has(self, name))
    server.deliver("shop", letter("deja supprime par un autre"), letter("un"))
    with server.client("shop") as client:
        client.delete_messages(client.search("ALL")[:1])

    reader = reader_of(database, server.mailbox("shop", after="move", move_to="Traités"))
    reader.read_once()

    assert subjects(database) == ["deja supprime par un autre", "un"]
    assert [b"\\Deleted" in flags for flags in server.flags("shop").values()] == [True]
    assert list(server.flags("shop", "Traités").values()) == [{b"\\Seen"}]


@pytest.mark.parametrize("after", ["seen", "move"])
def test_a_mailbox_in_which_nothing_can_be_marked_is_read_and_told_of(
    server: Dovecot, database: Database, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise IMAPClientError("NO [OVERQUOTA] quota exceeded")

    reader = reader_of(database, server.mailbox("shop", after=after, move_to="Traités" if after == "move" else ""))
    reader.read_once()
    with monkeypatch.context() as patched:
        patched.setattr(IMAPClient, "add_flags" if after == "seen" else "move", refuse)
        for subject in ("un", "deux"):
            server.deliver("shop", letter(subject))
            with pytest.raises(IMAPClientError, match="OVERQUOTA"):
                reader.read_once()
    assert subjects(database) == ["un", "deux"]
    assert trouble(database) == Trouble.SERVER

    reader.read_once()
    assert trouble(database) is None
    folder = "INBOX" if after == "seen" else "Traités"
    assert list(server.flags("shop", folder).values()) == [{b"\\Seen"}] * 2


def test_a_new_uidvalidity_means_a_new_walk_and_no_mail_twice(server: Dovecot, database: Database) -> None:
    mails = [letter("un"), letter("deux")]
    for folder_exists in (False, True):
        with server.client("shop") as client:
            if folder_exists:
                client.delete_folder("Service")
            client.create_folder("Service")
        server.deliver("shop", *mails, to="Service")
        if folder_exists:
            server.deliver("shop", letter("arrive pendant le demenagement"), seen=True, to="Service")
        reader_of(database, server.mailbox("shop", folder="Service")).read_once()
        with database.read() as session:
            validity = session.get_one(MailboxState, "shop").uid_validity
        mails.reverse()
        if not folder_exists:
            first = validity

    assert validity != first
    assert subjects(database) == ["un", "deux", "arrive pendant le demenagement"]
    assert set(map(frozenset, server.flags("shop", "Service").values())) == {frozenset({b"\\Seen"})}


def test_the_same_mail_as_a_file_is_the_same_mail(server: Dovecot, database: Database) -> None:
    raw = letter("un")
    with database.begin() as session:
        receive(session, raw.replace(b"\r\n", b"\n"), source="import:un.eml")
    server.deliver("shop", raw)

    reader_of(database, server.mailbox("shop")).read_once()

    assert subjects(database) == ["un"]


KILLED = """
import os, signal, sys
from service.mailboxes import MailboxReader
from service.settings import Mailbox
from store import Database

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

import imapclient
imapclient.IMAPClient.add_flags = die
MailboxReader(Database(sys.argv[1]), Mailbox.model_validate_json(sys.argv[2]), max_bytes=10**7).read_once()
"""


def test_a_kill_between_commit_and_flag_gives_one_mail(server: Dovecot, database: Database) -> None:
    server.deliver("shop", letter("un"))
    mailbox = server.mailbox("shop")
    given = json.dumps({**mailbox.model_dump(mode="json"), "password": PASSWORD})

    killed = subprocess.run([sys.executable, "-c", KILLED, str(database.url), given], check=False, timeout=120)

    assert killed.returncode == -signal.SIGKILL
    assert subjects(database) == ["un"]
    assert list(server.flags("shop").values()) == [set()]
    assert reader_of(database, mailbox).read_once() == 0
    assert subjects(database) == ["un"]
    assert list(server.flags("shop").values()) == [{b"\\Seen"}], "the flag follows at the next contact"


def test_nothing_is_flagged_when_the_database_does_not_take_it(server: Dovecot, database: Database) -> None:
    server.deliver("shop", letter("un"))
    reader = reader_of(database, server.mailbox("shop"))

    def full(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO inbound_mail" in statement or "INSERT INTO mail_aside" in statement:
            raise OperationalError(statement, {}, Exception("database or disk is full"))

    event.listen(database.engine, "before_cursor_execute", full)
    with pytest.raises(OperationalError):
        reader.read_once()
    event.remove(database.engine, "before_cursor_execute", full)

    assert list(server.flags("shop").values()) == [set()]
    with database.read() as session:
        assert session.get_one(MailboxState, "shop").trouble == Trouble.STORAGE
    assert reader.read_once() == 1


def test_a_mail_too_big_is_named_and_not_fetched_whole(
    server: Dovecot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = letter("enorme", "Bonjour, voici la photo.\n" + "x" * 70 + "\n" * 2 + ("y" * 70 + "\n") * 40_000)
    server.deliver("shop", raw, letter("petit"))
    fetched: list[int] = []
    fetch = IMAPClient.fetch

    def measured(self: IMAPClient, *args: Any, **values: Any) -> Any:
        answer = fetch(self, *args, **values)
        fetched.extend(len(each) for mail in answer.values() for each in mail.values() if isinstance(each, bytes))
        return answer

    monkeypatch.setattr(IMAPClient, "fetch", measured)
    reader_of(database, server.mailbox("shop"), max_bytes=MEGABYTE).read_once()

    with database.read() as session:
        big, small = session.scalars(select(InboundMail).order_by(InboundMail.id)).all()
    assert max(fetched) < MEGABYTE
    assert raw.startswith(big.raw)
    assert b"voici la photo" in big.raw
    assert (big.whole_bytes, small.whole_bytes) == (len(raw), None)


# ---- a bad mail never stops the mailbox


def break_fetching(monkeypatch: pytest.MonkeyPatch, uid: int, error: Exception) -> None:
    fetch = IMAPClient.fetch

    def broken(self: IMAPClient, uids: Any, *args: Any, **values: Any) -> Any:
        if uid in uids:
            raise error
        return fetch(self, uids, *args, **values)

    monkeypatch.setattr(IMAPClient, "fetch", broken)


def test_a_mail_that_cannot_be_fetched_is_put_aside_retried_and_shown(
    server: Dovecot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    server.deliver("shop", letter("bon"), letter("mauvais"), letter("bon aussi"))
    bad = sorted(server.flags("shop"))[1]
    reader = reader_of(database, server.mailbox("shop"), clock=clock)
    settings = Settings(mail=Mail(mailboxes=(server.mailbox("shop"),)))
    everything = Mailboxes(database, settings, clock=clock)

    with monkeypatch.context() as patch:
        break_fetching(patch, bad, IMAPClientError("NO [SERVERBUG] corrupted"))
        for _ in range(ASIDE_TRIES + 3):
            reader.read_once()
            clock.pass_by(seconds=301)
        reader.read_once()
        (alarm,) = everything.alarms()
        with database.read() as session:
            assert session.scalars(select(MailAside)).one().attempts == ASIDE_TRIES, "it is not tried for ever"

    assert subjects(database) == ["bon", "bon aussi"]
    assert (alarm.reason, alarm.name) == ("aside", "shop")
    assert "corrupted" in alarm.detail
    with server.client("shop") as client:
        client.add_flags([bad], [b"\\Seen"])
    reader.read_once()
    assert everything.alarms() == [], "whoever reads it at the server ends the alarm"


def test_a_mail_put_aside_comes_in_once_it_can_be_fetched(
    server: Dovecot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    server.deliver("shop", letter("malade"), letter("bon"))
    reader = reader_of(database, server.mailbox("shop"), clock=clock)
    with monkeypatch.context() as patch:
        break_fetching(patch, min(server.flags("shop")), IMAPClientError("NO later"))
        reader.read_once()
    clock.pass_by(seconds=10)

    reader.read_once()

    assert subjects(database) == ["bon", "malade"]
    with database.read() as session:
        assert session.scalars(select(MailAside)).all() == []


def test_a_mail_over_which_the_connection_breaks_stops_the_mailbox_only_three_times(
    server: Dovecot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deliver("shop", letter("poison"), letter("bon"))
    break_fetching(monkeypatch, min(server.flags("shop")), IMAPClientAbortError("socket error: EOF"))
    reader = reader_of(database, server.mailbox("shop"))

    for _ in range(3):
        with pytest.raises(IMAPClientAbortError):
            reader.read_once()
    reader.read_once()

    assert subjects(database) == ["bon"]


# ---- waiting


def test_idle_wakes_the_reader_at_once(server: Dovecot, database: Database) -> None:
    reader = reader_of(database, server.mailbox("shop", poll_seconds=240))
    reader.start()
    wait_until(lambda: contacted(database))
    time.sleep(0.5)  # until it idles
    server.deliver("shop", letter("vite"))
    began = time.monotonic()
    wait_until(lambda: subjects(database) == ["vite"])

    assert time.monotonic() - began < 5
    reader.stop()
    assert not reader._thread.is_alive()


def test_without_idle_the_mailbox_is_polled(
    server: Dovecot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    has = IMAPClient.has_capability
    monkeypatch.setattr(IMAPClient, "has_capability", lambda self, name: name != "IDLE" and has(self, name))
    reader = reader_of(database, server.mailbox("shop", poll_seconds=1))
    reader.start()
    wait_until(lambda: contacted(database))
    server.deliver("shop", letter("vu a la releve"))

    wait_until(lambda: len(subjects(database)) == 1)
    reader.stop()


def test_a_server_that_refuses_to_idle_is_polled(
    server: Dovecot, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refuse(_self: IMAPClient) -> None:
        tries.append(1)
        raise IMAPClientError("Unexpected IDLE response")

    monkeypatch.setattr(IMAPClient, "idle", refuse)
    monkeypatch.setattr("service.mailboxes.waiting_seconds", lambda *_: 0.01)
    reader = reader_of(database, server.mailbox("shop", poll_seconds=1))
    reader.start()
    wait_until(lambda: len(tries) == 3)
    server.deliver("shop", letter("vu quand meme"))

    wait_until(lambda: len(subjects(database)) == 1)
    time.sleep(1.5)
    assert len(tries) == 3
    reader.stop()


def contacted(database: Database) -> bool:
    with database.read() as session:
        state = session.get(MailboxState, "shop")
        return state is not None and state.contacted_at is not None


def test_a_server_that_goes_and_comes_back_is_read_again(program: str, database: Database) -> None:
    with running(program, free_port()) as own:
        reader = reader_of(database, own.mailbox("shop"))
        reader.start()
        wait_until(lambda: contacted(database))
        own.stop()
        wait_until(lambda: trouble(database) == Trouble.UNREACHABLE)
        own.start()
        own.deliver("shop", letter("apres la panne"))

        wait_until(lambda: subjects(database) == ["apres la panne"], 40)
        wait_until(lambda: trouble(database) is None)
        reader.stop()


def trouble(database: Database) -> str | None:
    with database.read() as session:
        state = session.get(MailboxState, "shop")
        return state.trouble if state else None


def test_the_waits_grow_and_end() -> None:
    waits = [waiting_seconds(failures, Trouble.UNREACHABLE) for failures in range(1, 9)]

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert waiting_seconds(1000, Trouble.REFUSED) == 300


# ---- the alarm


def test_a_wrong_password_raises_the_alarm_after_five_minutes_and_the_right_one_ends_it(
    server: Dovecot, database: Database
) -> None:
    clock = Clock()
    everything = Mailboxes(database, Settings(mail=Mail(mailboxes=(server.mailbox("shop"),))), clock=clock)
    wrong = reader_of(database, server.mailbox("shop", password="hunter2"), clock=clock)

    with pytest.raises(IMAPClientError):
        wrong.read_once()
    clock.pass_by(minutes=4, seconds=59)
    assert everything.alarms() == []
    assert everything.readings()[0].up
    clock.pass_by(seconds=1)

    (alarm,) = everything.alarms()
    assert (alarm.name, alarm.reason) == ("shop", Trouble.REFUSED)
    assert f"shop at 127.0.0.1:{server.port}" in alarm.detail
    assert "hunter2" not in alarm.detail
    assert not everything.readings()[0].up
    reader_of(database, server.mailbox("shop"), clock=clock).read_once()
    assert everything.alarms() == []


def test_a_mailbox_that_nobody_reads_raises_the_alarm_whatever_the_reason(database: Database) -> None:
    clock = Clock()
    mailbox = Mailbox(name="sav", host="127.0.0.1", port=free_port(), tls="none", user="sav", password="x")
    everything = Mailboxes(database, Settings(mail=Mail(mailboxes=(mailbox,))), clock=clock)
    clock.pass_by(minutes=5)

    assert [(alarm.name, alarm.reason) for alarm in everything.alarms()] == [("sav", "silent")]
    with pytest.raises(OSError, match="refused"):
        reader_of(database, mailbox, clock=clock).read_once()
    assert [alarm.reason for alarm in everything.alarms()] == [Trouble.UNREACHABLE]


def test_a_folder_that_is_not_there_is_named(server: Dovecot, database: Database) -> None:
    with pytest.raises(Exception, match="Mailbox doesn't exist"):
        reader_of(database, server.mailbox("shop", folder="Nulle part")).read_once()

    assert trouble(database) == Trouble.FOLDER


# ---- TLS


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_an_encrypted_connection_wants_a_certificate_it_can_trust(
    server: Dovecot, database: Database, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    port = server.tls_port if tls == "implicit" else server.port
    mailbox = server.mailbox("shop", host="localhost", port=port, tls=tls)
    server.deliver("shop", letter("secret"))

    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        reader_of(database, mailbox).read_once()
    assert trouble(database) == Trouble.TLS
    monkeypatch.setenv("SSL_CERT_FILE", str(server.folder / "cert.pem"))
    reader_of(database, mailbox).read_once()

    assert subjects(database) == ["secret"]


# ---- OAuth


class TokenServer(BaseHTTPRequestHandler):
    """Gives access tokens for the refresh token r1, and renews that to r2."""

    asked: list[dict[str, str]]
    answer: tuple[int, dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append({key: values[0] for key, values in parse_qs(body).items()})
        status, said = self.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def token_server() -> Iterator[tuple[str, type[TokenServer]]]:
    answers = type("Answers", (TokenServer,), {"asked": [], "answer": (200, {})})
    httpd = HTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/token", answers
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_a_mailbox_is_read_with_an_access_token_of_a_command(
    server: Dovecot, database: Database, tmp_path: Path
) -> None:
    user = "contact@shop.example"
    oauth = OAuth(token_command=("printf", "%s\\n", access_token(user)))
    server.deliver(user, letter("avec jeton"))
    mailbox = server.mailbox(user, oauth=oauth.model_dump())

    reader_of(database, mailbox, tokens=AccessTokens(oauth, tmp_path / "kept")).read_once()

    assert subjects(database) == ["avec jeton"]


def test_a_refused_token_is_asked_for_anew_and_its_refusal_told(
    server: Dovecot, database: Database, tmp_path: Path, token_server: tuple[str, type[TokenServer]]
) -> None:
    url, answers = token_server
    user = "service@shop.example"
    oauth = OAuth(token_url=url, client_id="comptoir", refresh_token="r1")
    tokens = AccessTokens(oauth, tmp_path / "tokens" / "kept.json")
    reader = reader_of(database, server.mailbox(user, name="shop", oauth=oauth.model_dump()), tokens=tokens)
    server.deliver(user, letter("apres renouvellement"))

    answers.answer = (200, {"access_token": access_token(user, minutes=-5), "expires_in": 3600})
    with pytest.raises(IMAPClientError, match="status"):
        reader.read_once()
    assert trouble(database) == Trouble.REFUSED
    answers.answer = (200, {"access_token": access_token(user), "expires_in": 3600})
    reader.read_once()
    reader.read_once()

    assert subjects(database) == ["apres renouvellement"]
    assert len(answers.asked) == 2, "a token that works is used again"


def test_a_renewed_refresh_token_is_kept_for_its_owner_only(
    tmp_path: Path, token_server: tuple[str, type[TokenServer]]
) -> None:
    url, answers = token_server
    kept = tmp_path / "tokens" / "kept.json"
    oauth = OAuth(token_url=url, client_id="comptoir", client_secret="s", refresh_token="r1", scope="imap")
    answers.answer = (200, {"access_token": "a", "expires_in": 3600, "refresh_token": "r2"})

    AccessTokens(oauth, kept).current()
    AccessTokens(oauth, kept).current()
    given_anew = OAuth(token_url=url, client_id="comptoir", refresh_token="r9")
    AccessTokens(given_anew, kept).current()

    assert [each["refresh_token"] for each in answers.asked] == ["r1", "r2", "r9"]
    expected = {"grant_type": "refresh_token", "client_id": "comptoir", "client_secret": "s", "scope": "imap"}
    assert expected.items() <= answers.asked[0].items()
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o600


def test_a_token_is_renewed_before_it_ends(tmp_path: Path, token_server: tuple[str, type[TokenServer]]) -> None:
    url, answers = token_server
    now = [0.0]
    tokens = AccessTokens(
        OAuth(token_url=url, client_id="c", refresh_token="r"), tmp_path / "kept", monotonic=lambda: now[0]
    )
    answers.answer = (200, {"access_token": "a", "expires_in": 3600})
    for now[0] in (0.0, 3500.0, 3541.0):
        tokens.current()

    assert len(answers.asked) == 2


def test_an_expired_authorisation_is_told_in_the_servers_words(
    server: Dovecot, database: Database, tmp_path: Path, token_server: tuple[str, type[TokenServer]]
) -> None:
    url, answers = token_server
    answers.answer = (400, {"error": "invalid_grant", "error_description": "The refresh token has expired."})
    oauth = OAuth(token_url=url, client_id="comptoir", refresh_token="r1")
    mailbox = server.mailbox("shop", oauth=oauth.model_dump())

    with pytest.raises(TokenError, match="has expired"):
        reader_of(database, mailbox, tokens=AccessTokens(oauth, tmp_path / "kept")).read_once()
    assert trouble(database) == Trouble.TOKEN


def test_a_token_command_that_fails_is_named(tmp_path: Path) -> None:
    for command in (("false",), ("no-such-program",), ("echo", "two words")):
        with pytest.raises(TokenError, match=command[0]):
            AccessTokens(OAuth(token_command=command), tmp_path / "kept").current()


# ---- settings


def test_mailboxes_are_read_from_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "comptoir.toml"
    config.write_text(
        """
        [mail]
        aliases = ["SAV@shop.example"]
        [[mail.mailboxes]]
        name = "contact"
        host = "imap.shop.example"
        user = "contact@shop.example"
        password = "hunter2"
        [[mail.mailboxes]]
        name = "sav"
        host = "imap.shop.example"
        tls = "starttls"
        user = "sav"
        after = "move"
        move_to = "Done"
        oauth = { token_command = ["print-token", "sav"] }
        """
    )
    monkeypatch.setenv("COMPTOIR_CONFIG", str(config))
    settings = Settings(data_dir=tmp_path)

    contact, sav = settings.mail.mailboxes
    assert (contact.port, sav.port) == (993, 143)
    assert {"sav@shop.example", "contact@shop.example"} <= settings.mail.our_addresses
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"password": ""}, "either a password or oauth"),
        ({"oauth": {"token_command": ["x"]}}, "either a password or oauth"),
        ({"password": "", "oauth": {"token_url": "https://x"}}, "client_id and refresh_token"),
        ({"after": "move"}, "move_to"),
        ({"move_to": "Done"}, "move_to"),
        ({"after": "move", "move_to": "INBOX"}, "move_to"),
        ({"poll_seconds": 600}, "240"),
    ],
)
def test_a_mailbox_that_cannot_work_is_refused_with_the_reason(values: dict[str, Any], says: str) -> None:
    good = {"name": "contact", "host": "imap.shop.example", "user": "contact", "password": "secret"}
    Mailbox.model_validate(good)

    with pytest.raises(ValidationError, match=says):
        Mailbox.model_validate({**good, **values})


def test_the_settings_file_of_the_manual_works_and_every_setting_of_mail_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manual = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    example = manual[manual.index("    # comptoir.toml") : manual.index("A policy that answers:")]
    (tmp_path / "comptoir.toml").write_text(example)
    monkeypatch.setenv("COMPTOIR_CONFIG", str(tmp_path / "comptoir.toml"))

    assert [mailbox.after for mailbox in Settings(data_dir=tmp_path).mail.mailboxes] == ["seen", "move"]
    tables = (Mail, Mailbox, OAuth, Attachments)
    for name in {name for table in tables for name in table.model_fields} - {"mailboxes", "attachments"}:
        assert f"`{name}`" in manual, name


def test_two_mailboxes_of_one_name_are_refused() -> None:
    one = Mailbox(name="contact", host="a", user="a", password="x")

    with pytest.raises(ValidationError, match="two mailboxes are named contact"):
        Mail(mailboxes=(one, one))
