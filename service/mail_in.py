"""Mail comes in: SMTP and LMTP listeners, a drop folder, an import. All answer only after the mail is in the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from desk import is_received, receive
from service.measures import MAILS_RECEIVED
from service.settings import Mail
from store import Database
from triage import read_sources

log = structlog.get_logger()

QUIET_SECONDS = 1.0
"""A file written to more recently than this may not be whole yet."""


LONGEST_SOURCE, LONGEST_ADDRESS = 400, 320  # as the columns have them


@dataclass(frozen=True)
class TakenMail:
    """A mail in the database: its row, and whether it was new."""

    mail_id: int
    new: bool


def take_in(database: Database, raw: bytes, source: str, envelope_from: str | None = None) -> TakenMail:
    """Commit one mail. The caller acknowledges after this returns."""
    envelope_from = None if envelope_from is None else _writable(envelope_from, LONGEST_ADDRESS)
    with database.begin() as session:
        new = not is_received(session, raw)
        mail_id = receive(session, raw, source=_writable(source, LONGEST_SOURCE), envelope_from=envelope_from).id
    if new:
        MAILS_RECEIVED.labels(source.partition(":")[0]).inc()
    return TakenMail(mail_id, new)


def _writable(text: str, longest: int) -> str:
    """What came over a wire or is a file's name may hold bytes that are no text; no database takes those."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\x00", "")[:longest]


LONGEST_LINE = 1024 * 1024
"""RFC 5321 allows 1000 bytes a line; programs write longer ones, and a mail refused for that would be lost."""


class SmtpServer(SMTP):
    line_length_limit = LONGEST_LINE


class LmtpServer(LMTP):
    """LMTP as RFC 2033 has it: after the mail, one answer for each recipient."""

    line_length_limit = LONGEST_LINE
    _answers = 1

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        self._answers = max(1, len(self.envelope.rcpt_tos)) if self.envelope else 1
        try:
            await super().smtp_DATA(arg)
        finally:
            self._answers = 1

    async def push(self, status: Any) -> None:
        # 354 asks for the mail; all else that is said meanwhile is the answer to it.
        for _ in range(1 if str(status).startswith("354") else self._answers):
            await super().push(status)


class SmtpController(Controller):
    def factory(self) -> SMTP:
        return SmtpServer(self.handler, **self.SMTP_kwargs)


class LmtpController(Controller):
    def factory(self) -> SMTP:
        return LmtpServer(self.handler, **self.SMTP_kwargs)


class Listener:
    """The SMTP listener, and the LMTP listener beside it when a port is set.

    250 is said after the commit; when that fails the sender is told to try again (451).
    """

    def __init__(self, database: Database, mail: Mail) -> None:
        self._database = database
        wanted: list[tuple[type[Controller], int]] = [(SmtpController, mail.listen_port)]
        if mail.lmtp_port is not None:
            wanted.append((LmtpController, mail.lmtp_port))
        self._controllers = [
            kind(self, hostname=mail.listen_host, port=port, data_size_limit=mail.max_bytes, ident="Comptoir")
            for kind, port in wanted
        ]

    def start(self) -> None:
        for controller in self._controllers:
            controller.start()

    def stop(self) -> None:
        for controller in self._controllers:
            controller.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        peer = session.peer[0] if session.peer else "unknown"
        protocol = "lmtp" if isinstance(server, LMTP) else "smtp"
        try:
            await server.loop.run_in_executor(
                None, take_in, self._database, raw, f"{protocol}:{peer}", envelope.mail_from or ""
            )
        except Exception:
            log.exception("mail could not be stored; the sender is asked to try again")
            return "451 4.3.0 not stored; please try again"
        return "250 2.0.0 stored"


class DropFolder:
    """Takes in whatever mail is put into a folder: .eml files, mbox files, Maildirs.

    What lies there and is no longer being written moves to `taking/` beside it, is read and committed there, and ends in
    `taken/`, or in `refused/` when it cannot be read. What a crash leaves in `taking/` is taken again; the same bytes are
    one mail.
    """

    def __init__(self, database: Database, folder: Path, *, every_seconds: float = 1.0) -> None:
        self._database = database
        self._folder = folder
        self._every = every_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="drop-folder", daemon=True)

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5.0)

    def take_once(self) -> int:
        """Take in what is ready; the number of mails. What the database does not take stays for the next time, and keeps
        nothing else from being taken."""
        taking, count = self._beside("taking"), 0
        for path in sorted(self._folder.iterdir()):
            if not path.name.startswith(".") and _age(path) > QUIET_SECONDS:
                path.rename(taking / f"{time.time_ns()}-{path.name}")
        for path in sorted(taking.iterdir()):
            try:
                count += self._take(path)
            except Exception:
                log.exception("dropped mail could not be taken in; it is tried again", name=path.name)
        return count

    def _take(self, path: Path) -> int:
        count = 0
        mails = read_sources([path])
        while True:
            try:
                name, raw = next(mails)
            except StopIteration:
                break
            except (OSError, ValueError):
                log.exception("dropped mail cannot be read; see the folder refused/", name=path.name)
                path.rename(self._beside("refused") / path.name)
                return count
            take_in(self._database, raw, f"drop:{name}")
            count += 1
        path.rename(self._beside("taken") / path.name)
        return count

    def _beside(self, name: str) -> Path:
        folder = self._folder.parent / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _watch(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                self.take_once()
            except Exception:
                log.exception("drop folder could not be read; it is tried again", folder=str(self._folder))


def _age(path: Path) -> float:
    """Seconds since anything in `path` was last written."""
    newest = max((each.stat().st_mtime for each in [path, *path.rglob("*")] if each.exists()), default=0.0)
    return time.time() - newest


@dataclass(frozen=True)
class ImportFailure:
    """A file or mail that could not be imported: where, why, and what to do."""

    place: str
    reason: str


@dataclass
class ImportCount:
    """What an import came to."""

    new: int
    known: int
    failures: list[ImportFailure]


def import_mails(
    database: Database, paths: Iterable[Path], *, max_bytes: int, advance: Callable[[int], None] = lambda _bytes: None
) -> ImportCount:
    """Take in the mails of `paths` (.eml, mbox, Maildir, folders); none that fails stops the others.

    `advance` is told the bytes that each mail took.
    """
    count = ImportCount(0, 0, [])

    def unreadable(place: str, error: OSError) -> None:
        reason = f"cannot be read ({error.strerror or error}): check that it is there and that you may read it"
        count.failures.append(ImportFailure(place, reason))

    for name, raw in read_sources(paths, unreadable=unreadable):
        if not raw.strip():
            count.failures.append(ImportFailure(name, "is empty: delete it, or fetch it again from where it came"))
        elif len(raw) > max_bytes:
            reason = f"has {len(raw)} bytes, more than mail.max_bytes ({max_bytes}): raise it and import this again"
            count.failures.append(ImportFailure(name, reason))
        else:
            try:
                taken = take_in(database, raw, f"import:{name}")
            except Exception as error:
                reason = f"was not stored ({getattr(error, 'orig', None) or error}): mend the database, import again"
                count.failures.append(ImportFailure(name, reason))
            else:
                count.new += taken.new
                count.known += not taken.new
        advance(len(raw))
    return count


def bytes_below(paths: Iterable[Path]) -> int:
    """How many bytes lie in files and folders, for a progress bar."""
    return sum(_size(file) for path in paths for file in ([path] if path.is_file() else path.rglob("*")))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
