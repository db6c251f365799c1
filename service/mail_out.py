"""Mail leaves: the relay, and the demo's sink that stands in for one."""

from __future__ import annotations

import re
import smtplib
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from service.settings import Mail


@dataclass(frozen=True)
class Relay:
    """The SMTP server that takes our mail further."""

    host: str
    port: int
    sender: str
    user: str | None = None
    password: str | None = None
    starttls: bool = False

    @classmethod
    def from_settings(cls, mail: Mail) -> Relay:
        if mail.relay_host is None:
            return cls("127.0.0.1", mail.sink_port, mail.address)
        return cls(
            mail.relay_host, mail.relay_port, mail.address, mail.relay_user, mail.relay_password, mail.relay_starttls
        )

    def send(self, recipient: str, raw: bytes) -> None:
        """Hand one message over; raises smtplib.SMTPException or OSError when the relay does not take it."""
        with smtplib.SMTP(self.host, self.port, timeout=30) as client:
            if self.starttls:
                client.starttls()
            if self.user and self.password:
                client.login(self.user, self.password)
            client.sendmail(self.sender, [recipient], raw)


class Sink:
    """An SMTP server that keeps every mail it is given as a file, for the demo and for tests."""

    def __init__(self, folder: Path, port: int, host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._controller = Controller(self, hostname=host, port=port)

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        content = envelope.content or b""
        draft = self._folder / f".{stamp}"
        draft.write_bytes(content if isinstance(content, bytes) else content.encode())
        draft.rename(self._folder / f"{stamp}.eml")
        return "250 kept"


def sent_mails(folder: Path, *, limit: int = 100) -> list[dict[str, Any]]:
    """What the sink has, newest first: `name`, `at`, `to`, `subject`."""
    rows = []
    for path in sorted(folder.glob("*.eml"), reverse=True)[:limit]:
        message = message_from_bytes(path.read_bytes(), policy=policy.default)
        at = datetime.strptime(path.stem, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
        rows.append({"name": path.stem, "at": at, "to": str(message["To"]), "subject": str(message["Subject"])})
    return rows


def sent_mail(folder: Path, name: str) -> bytes | None:
    """One mail of the sink, raw; None when it has none of this name."""
    path = folder / f"{name}.eml"
    return path.read_bytes() if re.fullmatch(r"[0-9T.]+", name) and path.exists() else None
