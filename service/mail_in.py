"""Mail comes in: an SMTP listener and a drop folder. Both answer only after the mail is in the database."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import structlog
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from desk import receive
from service.measures import MAILS_RECEIVED
from service.settings import Mail
from store import Database
from triage import read_sources

log = structlog.get_logger()

QUIET_SECONDS = 1.0
"""A file written to more recently than this may not be whole yet."""


def take_in(database: Database, raw: bytes, source: str, envelope_from: str | None = None) -> int:
    """Commit one mail; its row's id. The caller acknowledges after this returns."""
    with database.begin() as session:
        mail_id = receive(session, raw, source=source[:400], envelope_from=envelope_from).id
    MAILS_RECEIVED.labels(source.partition(":")[0]).inc()
    return mail_id


class Listener:
    """The SMTP listener. 250 is said after the commit; when that fails the sender is told to try again (451)."""

    def __init__(self, database: Database, mail: Mail) -> None:
        self._database = database
        self._controller = Controller(
            self, hostname=mail.listen_host, port=mail.listen_port, data_size_limit=mail.max_bytes, ident="Comptoir"
        )

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        peer = session.peer[0] if session.peer else "unknown"
        try:
            await server.loop.run_in_executor(
                None, take_in, self._database, raw, f"smtp:{peer}", envelope.mail_from or ""
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
        """Take in what is ready; the number of mails. What the database does not take stays for the next time."""
        taking = self._beside("taking")
        for path in sorted(self._folder.iterdir()):
            if not path.name.startswith(".") and _age(path) > QUIET_SECONDS:
                path.rename(taking / f"{time.time_ns()}-{path.name}")
        return sum(self._take(path) for path in sorted(taking.iterdir()))

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
