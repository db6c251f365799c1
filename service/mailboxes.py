"""Mail comes in from mailboxes at IMAP servers: one thread a mailbox, by UIDVALIDITY and UID, committed before it is marked."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import structlog
from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError
from sqlalchemy.exc import SQLAlchemyError

from desk import (
    MailboxAlarm,
    MailboxReading,
    Trouble,
    is_received,
    mailbox_alarms,
    mailbox_readings,
    mailboxes,
    receive,
)
from desk.tables import MailboxState
from service.access_tokens import AccessTokens, TokenError
from service.measures import MAILS_RECEIVED
from service.settings import Mailbox, Settings
from store import Database, utc_now

log = structlog.get_logger()

BATCH = 50
"""Mails that are taken in before the server is told about them."""
BEGINNING_BYTES = 256 * 1024
"""What is fetched of a mail that is too big: its headers and, as a rule, its text."""
STRIKES = 3
"""A mail over which the connection broke this often is put aside."""
IDLE_SLICE_SECONDS = 1.0
"""How soon a waiting thread notices that it is to stop."""
LONGEST_WAIT_SECONDS = 60.0
LONGEST_WAIT_REFUSED_SECONDS = 300.0
"""Servers lock out whoever tries a refused password too often."""


class FolderError(Exception):
    """A folder of the mailbox cannot be opened or made."""


class _GoneError(Exception):
    """The mail is no longer in the folder."""


class MailboxReader:
    """Takes in the mail of one mailbox.

    What a mailbox held already, read, before it was first connected is history and left alone (`comptoir mail import`
    takes it); everything else is taken, whoever has looked at it meanwhile.
    """

    def __init__(
        self,
        database: Database,
        mailbox: Mailbox,
        *,
        max_bytes: int,
        tokens: AccessTokens | None = None,
        clock: Callable[[], datetime] = utc_now,
        stopping: threading.Event | None = None,
    ) -> None:
        self._database = database
        self._mailbox = mailbox
        self._max_bytes = max_bytes
        self._tokens = tokens
        self._clock = clock
        self._strikes: Counter[int] = Counter()
        self._idle_failures = 0
        self._stopping = stopping or threading.Event()
        self._thread = threading.Thread(target=self._read_on, name=f"mailbox-{mailbox.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def read_once(self) -> int:
        """Connect, take in what is there, leave; the number of mails. Raises and notes what went wrong."""
        try:
            with self._connected() as client:
                return self._look(client)
        except Exception as error:
            self._note(error)
            raise

    def _read_on(self) -> None:
        """Read until stopped; whatever goes wrong is noted and tried again, later and later."""
        failures = 0
        last_trouble: Trouble | None = None
        while not self._stopping.is_set():
            try:
                with self._connected() as client:
                    while not self._stopping.is_set():
                        self._look(client)
                        if last_trouble is not None:
                            log.info("mailbox can be read again", mailbox=self._mailbox.name)
                        failures, last_trouble = 0, None
                        self._wait_for_mail(client)
            except Exception as error:
                trouble = self._note(error)
                failures += 1
                if trouble != last_trouble:
                    log.warning("mailbox cannot be read; it is tried again", mailbox=self._mailbox.name, reason=trouble)
                last_trouble = trouble
                self._stopping.wait(waiting_seconds(failures, trouble))

    def _note(self, error: Exception) -> Trouble:
        trouble, words = explain(error)
        detail = f"{self._mailbox.user} at {self._mailbox.host}:{self._mailbox.port}: {words}"
        try:
            with self._database.begin() as session:
                mailboxes.note_trouble(session, self._mailbox.name, trouble, detail)
        except SQLAlchemyError:
            # The alarm rises all the same: it goes by the last contact.
            log.exception("the trouble of a mailbox could not be noted", mailbox=self._mailbox.name, detail=detail)
        return trouble

    # ---- at the server

    @contextlib.contextmanager
    def _connected(self) -> Iterator[IMAPClient]:
        """A connection, logged in, with the folder open."""
        mailbox = self._mailbox
        timeout = SocketTimeout(connect=20.0, read=60.0)
        with IMAPClient(mailbox.host, mailbox.port, ssl=mailbox.tls == "implicit", timeout=timeout) as client:
            if mailbox.tls == "starttls":
                client.starttls()
            self._log_in(client)
            try:
                if mailbox.move_to and not client.folder_exists(mailbox.move_to):
                    client.create_folder(mailbox.move_to)
                opened = client.select_folder(mailbox.folder)
            except IMAPClientAbortError:
                raise
            except IMAPClientError as error:
                raise FolderError(str(error)) from error
            validity, uid_next = int(opened.get(b"UIDVALIDITY", 0)), opened.get(b"UIDNEXT")
            if uid_next is None:
                uid_next = max(client.search("ALL"), default=0) + 1
            with self._database.begin() as session:
                mailboxes.open_mailbox(session, mailbox.name, uid_validity=validity, uid_next=int(uid_next))
            yield client

    def _log_in(self, client: IMAPClient) -> None:
        mailbox = self._mailbox
        if self._tokens is not None:
            answer = XOAuth2(mailbox.user, self._tokens.current())
            try:
                client.sasl_login("XOAUTH2", answer)
            except LoginError as error:
                self._tokens.refused()
                raise LoginError(" ".join(filter(None, (str(error), answer.error)))) from error
        elif client.has_capability("AUTH=PLAIN"):
            # Unlike LOGIN it takes passwords that are not ASCII (RFC 4616).
            client.plain_login(mailbox.user, mailbox.password.get_secret_value())
        else:
            client.login(mailbox.user, mailbox.password.get_secret_value())

    def _wait_for_mail(self, client: IMAPClient) -> None:
        """Return when there may be new mail (IDLE, RFC 2177), and after `poll_seconds` in any case."""
        if self._idle_failures >= STRIKES or not client.has_capability("IDLE"):
            self._stopping.wait(self._mailbox.poll_seconds)
            return
        self._idle_failures += 1
        client.idle()
        self._idle_failures = 0
        ends = time.monotonic() + self._mailbox.poll_seconds
        while not self._stopping.is_set() and time.monotonic() < ends:
            began = time.monotonic()
            told = client.idle_check(timeout=IDLE_SLICE_SECONDS)
            # Nothing, but at once: the server may have hung up. The next look finds out.
            hung_up = not told and time.monotonic() - began < IDLE_SLICE_SECONDS / 2
            if hung_up or any(each[0] != b"OK" for each in told):
                break
        client.idle_done()

    # ---- taking in

    def _look(self, client: IMAPClient) -> int:
        """Take in what is there; the number of mails. A server that lets us read and not mark or move is read all the same,
        and told of as trouble."""
        client.noop()
        unsettled = self._try_to_settle(client)
        name, taken = self._mailbox.name, 0
        with self._database.read() as session:
            state = session.get_one(MailboxState, name)
            aside = mailboxes.due_aside(session, name, self._clock())
            given_up = mailboxes.given_up_aside(session, name)
        for batch in _batches([*_new_uids(client, state), *aside], BATCH):
            for uid in batch:
                if self._stopping.is_set():
                    return taken
                taken += self._take(client, uid)
            unsettled = self._try_to_settle(client)
        still_unread = client.search(["UID", ",".join(map(str, given_up)), "UNSEEN"]) if given_up else []
        with self._database.begin() as session:
            for uid in set(given_up) - set(still_unread):
                mailboxes.drop_aside(session, name, uid)
            mailboxes.end_walk(session, name, self._clock())
            if unsettled is None:
                mailboxes.note_contact(session, name, self._clock())
        if unsettled is not None:
            raise unsettled
        return taken

    def _take(self, client: IMAPClient, uid: int) -> bool:
        """Take in one mail; False when it had to be put aside or is no longer there."""
        if self._strikes[uid] >= STRIKES:
            del self._strikes[uid]
            self._put_aside(uid, f"the connection broke {STRIKES} times while this mail was being fetched")
            return False
        try:
            raw, whole_bytes = self._fetch(client, uid)
        except _GoneError:
            with self._database.begin() as session:
                mailboxes.drop_aside(session, self._mailbox.name, uid)
            return False
        except (IMAPClientAbortError, OSError):
            self._strikes[uid] += 1
            raise
        except (IMAPClientError, ValueError) as error:
            self._put_aside(uid, f"the server does not give it out: {error}")
            return False
        del self._strikes[uid]
        return self._store(uid, raw, whole_bytes)

    def _fetch(self, client: IMAPClient, uid: int) -> tuple[bytes, int | None]:
        """A mail's bytes, or the beginning of one that is too big, with its size."""
        size = client.fetch([uid], ["RFC822.SIZE"]).get(uid, {}).get(b"RFC822.SIZE")
        if size is None:
            raise _GoneError
        whole = int(size) <= self._max_bytes
        item = "BODY.PEEK[]" if whole else f"BODY.PEEK[]<0.{BEGINNING_BYTES}>"
        fetched = client.fetch([uid], [item]).get(uid)
        if fetched is None:
            raise _GoneError
        raw = fetched.get(b"BODY[]" if whole else b"BODY[]<0>")
        if not isinstance(raw, bytes):
            raise ValueError("no body in its answer")
        return raw, None if whole else int(size)

    def _store(self, uid: int, raw: bytes, whole_bytes: int | None) -> bool:
        """Keep a mail and move the position in one transaction; False when it had to be put aside."""
        mailbox = self._mailbox
        source = f"imap:{mailbox.name}/{mailbox.folder}#{uid}"
        try:
            with self._database.begin() as session:
                new = not is_received(session, raw)
                receive(session, raw, source=source[:400], whole_bytes=whole_bytes)
                mailboxes.advance(session, mailbox.name, uid, self._clock())
        except SQLAlchemyError as error:
            # When this can be written, the database is well and it is the mail that it cannot take.
            self._put_aside(uid, f"it could not be stored: {_words(error)}")
            return False
        if new:
            MAILS_RECEIVED.labels("imap").inc()
        return True

    def _put_aside(self, uid: int, error: str) -> None:
        with self._database.begin() as session:
            mailboxes.put_aside(session, self._mailbox.name, uid, error, self._clock())
        log.warning("mail put aside; the others go on", mailbox=self._mailbox.name, uid=uid, error=error)

    def _try_to_settle(self, client: IMAPClient) -> IMAPClientError | None:
        """What the server refused, if anything; a connection that broke raises."""
        try:
            self._settle(client)
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:
            return error
        return None

    def _settle(self, client: IMAPClient) -> None:
        """Tell the server about what has been taken in."""
        mailbox = self._mailbox
        with self._database.read() as session:
            uids = list(session.get_one(MailboxState, mailbox.name).unsettled)
        if not uids:
            return
        client.add_flags(uids, [b"\\Seen"], silent=True)
        if mailbox.after == "move":
            self._move(client, uids)
        with self._database.begin() as session:
            mailboxes.settle(session, mailbox.name, uids)

    def _move(self, client: IMAPClient, uids: Sequence[int]) -> None:
        there = client.search(["UID", ",".join(map(str, uids)), "NOT", "DELETED"])
        if not there:
            return
        if client.has_capability("MOVE"):
            client.move(there, self._mailbox.move_to)
            return
        client.copy(there, self._mailbox.move_to)
        client.delete_messages(there, silent=True)
        # A plain EXPUNGE would also remove what others have marked as deleted.
        if client.has_capability("UIDPLUS"):
            client.uid_expunge(there)


class XOAuth2:
    """The SASL mechanism XOAUTH2: one message with the token; a refusal comes as a challenge that wants an empty answer."""

    def __init__(self, user: str, token: str) -> None:
        self._message = f"user={user}\x01auth=Bearer {token}\x01\x01".encode()
        self.error = ""

    def __call__(self, challenge: bytes) -> bytes:
        if not challenge:
            return self._message
        self.error = _plain(challenge)
        return b""


class Mailboxes:
    """All mailboxes of the settings: their readers, and the alarms they raise."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock
        self._since = clock()
        self._stopping = threading.Event()
        self._names = [mailbox.name for mailbox in settings.mail.mailboxes]
        self._readers = [
            MailboxReader(
                database,
                mailbox,
                max_bytes=settings.mail.max_bytes,
                tokens=_tokens(mailbox, settings),
                clock=clock,
                stopping=self._stopping,
            )
            for mailbox in settings.mail.mailboxes
        ]

    def start(self) -> None:
        for reader in self._readers:
            reader.start()

    def stop(self) -> None:
        self._stopping.set()
        for reader in self._readers:
            reader.stop()

    def alarms(self) -> list[MailboxAlarm]:
        """What the agents must be told about the mailboxes; empty when all is well."""
        if not self._names:
            return []
        with self._database.read() as session:
            return mailbox_alarms(session, self._names, watched_since=self._since, now=self._clock())

    def readings(self) -> list[MailboxReading]:
        """How each mailbox is."""
        with self._database.read() as session:
            return mailbox_readings(session, self._names, watched_since=self._since, now=self._clock())


def explain(error: Exception) -> tuple[Trouble, str]:
    """What kind of trouble an error means, and its own words."""
    kinds: tuple[tuple[type[Exception], Trouble], ...] = (
        (TokenError, Trouble.TOKEN),
        (LoginError, Trouble.REFUSED),
        (FolderError, Trouble.FOLDER),
        (SQLAlchemyError, Trouble.STORAGE),
        (IMAPClientAbortError, Trouble.UNREACHABLE),
        (ssl.SSLError, Trouble.TLS),
        (OSError, Trouble.UNREACHABLE),
    )
    trouble = next((trouble for kind, trouble in kinds if isinstance(error, kind)), Trouble.SERVER)
    return trouble, _words(error)


def _words(error: Exception) -> str:
    # A database's error would quote the statement, and with it the mail.
    text = str(getattr(error, "orig", None) or error)
    return " ".join(text.split()) or type(error).__name__


def waiting_seconds(failures: int, trouble: Trouble) -> float:
    """How long to wait after so many failures in succession: 1, 2, 4 ... seconds."""
    longest = LONGEST_WAIT_REFUSED_SECONDS if trouble == Trouble.REFUSED else LONGEST_WAIT_SECONDS
    return min(2.0 ** min(failures - 1, 16), longest)


def _tokens(mailbox: Mailbox, settings: Settings) -> AccessTokens | None:
    if mailbox.oauth is None:
        return None
    # A name may hold what a file name may not.
    file = hashlib.sha256(mailbox.name.encode()).hexdigest()[:16]
    return AccessTokens(mailbox.oauth, settings.tokens_dir / f"{file}.json")


def _new_uids(client: IMAPClient, state: MailboxState) -> list[int]:
    """The UIDs to take in, ascending: of what was there when the walk began, the unread, and what came since the first walk."""
    found: set[int] = set()
    if state.taken_uid < state.walk_uid:
        walk: list[Any] = ["UID", f"{state.taken_uid + 1}:{state.walk_uid}"]
        if state.begun_at is None:
            walk += ["UNSEEN"]
        else:
            # INTERNALDATE is a day in the server's own time zone.
            walk += ["OR", "UNSEEN", "SINCE", (state.begun_at - timedelta(days=1)).date()]
        found.update(client.search(walk))
    after = max(state.taken_uid, state.walk_uid)
    # "n:*" names the last mail even when its UID is below n (RFC 3501, section 6.4.8).
    found.update(uid for uid in client.search(["UID", f"{after + 1}:*"]) if uid > after)
    return sorted(uid for uid in found if uid > state.taken_uid)


def _batches(uids: Iterable[int], size: int) -> Iterator[list[int]]:
    rest = iter(uids)
    while batch := list(islice(rest, size)):
        yield batch


def _plain(challenge: bytes) -> str:
    """The server's reason: JSON, sometimes in base64 once more."""
    text = challenge
    with contextlib.suppress(binascii.Error):
        text = base64.b64decode(challenge, validate=True)
    try:
        said: Any = json.loads(text)
    except ValueError:
        return challenge.decode("utf-8", "replace")[:200]
    return ", ".join(f"{key} {value}" for key, value in said.items())[:200] if isinstance(said, dict) else str(said)
