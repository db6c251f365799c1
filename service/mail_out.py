"""Mail leaves: the relay, its DKIM signature, and the demo's sink that stands in for a relay."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

import dkim
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from service.settings import Mail

COMMAND_SECONDS = 30.0
TEXT_SECONDS = 600.0
"""How long a relay may take to say 250 to a whole mail (RFC 5321, section 4.5.3.2.6: no less than ten minutes)."""


class NotTaken(Exception):
    """The relay has certainly not taken a mail. `permanent` when it is no use to try again; `recipient_unknown` when it
    is the recipient's address that does not exist; `status` is the relay's enhanced status code, or empty."""

    def __init__(
        self, reason: str, *, permanent: bool = False, recipient_unknown: bool = False, status: str = ""
    ) -> None:
        super().__init__(reason)
        self.permanent, self.recipient_unknown, self.status = permanent, recipient_unknown, status


class PerhapsTaken(Exception):
    """The relay got the whole of a mail, and the connection broke before it said whether it took it."""


@dataclass(frozen=True)
class DkimSigner:
    """Signs what we send (RFC 6376). `key` is a PEM private key (RSA)."""

    key: bytes
    selector: str
    domain: str

    @classmethod
    def from_settings(cls, mail: Mail) -> DkimSigner | None:
        if mail.dkim_key is None:
            return None
        return cls(mail.dkim_key.read_bytes(), mail.dkim_selector, mail.dkim_domain)

    def sign(self, raw: bytes) -> bytes:
        signature: bytes = dkim.sign(
            raw, self.selector.encode(), self.domain.encode(), self.key, canonicalize=(b"relaxed", b"relaxed")
        )
        return signature + raw


@dataclass(frozen=True)
class Relay:
    """The SMTP server that takes our mail further. `ca_file` holds the certificates (PEM) that its own
    is checked against, None for the system's; `kept_in` is the folder of a relay that can be asked what it has."""

    host: str
    port: int
    sender: str
    user: str | None = None
    password: str | None = None
    starttls: bool = False
    ca_file: Path | None = None
    dkim: DkimSigner | None = None
    kept_in: Path | None = None

    @classmethod
    def from_settings(cls, mail: Mail, sink_dir: Path) -> Relay:
        signer = DkimSigner.from_settings(mail)
        if mail.relay_host is None:
            return cls("127.0.0.1", mail.sink_port, mail.address, dkim=signer, kept_in=sink_dir)
        return cls(
            mail.relay_host,
            mail.relay_port,
            mail.address,
            mail.relay_user,
            mail.relay_password,
            mail.relay_starttls,
            mail.relay_ca_file,
            signer,
        )

    @contextlib.contextmanager
    def accepting(self, recipient: str, *, sender: str | None = None) -> Iterator[Handover]:
        """A connection on which the relay has accepted `recipient` and waits for the text. `sender` is where a bounce goes.

        Raises NotTaken, also for what goes wrong before the block; leaving the block says goodbye, and what the relay makes
        of that changes nothing.
        """
        client: smtplib.SMTP | None = None
        try:
            try:
                client = smtplib.SMTP(self.host, self.port, timeout=COMMAND_SECONDS)
                if self.starttls:
                    client.starttls(context=ssl.create_default_context(cafile=self.ca_file))
                if self.user and self.password:
                    client.login(self.user, self.password)
                client.ehlo_or_helo_if_needed()
                _expect(client.mail(sender or self.sender))
                _expect(client.rcpt(recipient), recipient=True)
            except (smtplib.SMTPException, OSError) as error:
                raise NotTaken(f"{type(error).__name__}: {error}") from error
            yield Handover(client, self.dkim)
        finally:
            _hang_up(client)

    def has(self, message_id: str) -> bool | None:
        """Whether the relay has taken the mail `message_id`; None when it cannot be asked (SMTP knows no such question)."""
        return None if self.kept_in is None else _holds(self.kept_in, message_id)


@dataclass(frozen=True)
class Handover:
    """The relay's open hand."""

    client: smtplib.SMTP
    dkim: DkimSigner | None

    def give(self, raw: bytes) -> None:
        """Hand over a message; returns once the relay has said that it took it. Raises NotTaken or PerhapsTaken."""
        signed = self.dkim.sign(raw) if self.dkim else raw
        try:
            _expect(self.client.docmd("DATA"), code=354)
            _set_timeout(self.client, TEXT_SECONDS)
            self.client.send(_as_data(signed))
        except (smtplib.SMTPException, OSError) as error:
            # Without the closing dot the relay has not got the mail, whatever it was that failed.
            raise NotTaken(f"{type(error).__name__}: {error}") from error
        try:
            answer = self.client.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise PerhapsTaken(f"the relay did not say whether it took the mail ({error})") from error
        _expect(answer)


def _expect(answer: tuple[int, bytes], *, code: int = 250, recipient: bool = False) -> None:
    said, words = answer
    if said == code or (code == 250 and said == 251):
        return
    text = words.decode("utf-8", "replace")
    status = next(iter(re.findall(r"\b[245]\.\d{1,3}\.\d{1,3}\b", text)), "")
    raise NotTaken(
        f"{said} {text}",
        permanent=500 <= said < 600,
        # RFC 3463, section 3.2: the address. Another 5.x at this point is about us, or about what the relay may do.
        recipient_unknown=recipient and 500 <= said < 600 and status.startswith("5.1."),
        status=status,
    )


def _as_data(raw: bytes) -> bytes:
    """A message as it goes over the wire: CRLF, dots doubled, the closing dot (RFC 5321, section 4.5.2)."""
    text = re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
    text = text if text.endswith(b"\r\n") else text + b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", text) + b".\r\n"


def _set_timeout(client: smtplib.SMTP, seconds: float) -> None:
    if client.sock is not None:
        client.sock.settimeout(seconds)


def _hang_up(client: smtplib.SMTP | None) -> None:
    with contextlib.suppress(smtplib.SMTPException, OSError):
        if client is not None:
            _set_timeout(client, COMMAND_SECONDS)
            try:
                client.quit()
            finally:
                client.close()


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


def _holds(folder: Path, message_id: str) -> bool:
    """Whether the sink has a mail with this Message-ID; the newest are looked at first."""
    parser = BytesHeaderParser(policy=policy.compat32)
    for path in sorted(folder.glob("*.eml"), reverse=True):
        raw = path.read_bytes()
        if message_id.encode() in raw and str(parser.parsebytes(raw)["Message-ID"]).strip() == message_id:
            return True
    return False


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
