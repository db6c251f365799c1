"""One mail that comes by several routes: its copies differ in what mail servers wrote above it, not in what was sent."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from desk.tables import InboundMail, MailKind

SENT_HEADERS = frozenset(
    {b"message-id", b"from", b"reply-to", b"date", b"subject", b"content-type", b"content-transfer-encoding"}
)
"""What the sender wrote and no server on the way has reason to change. Of two mails that differ in what says who is answered,
or how the text is to be read, neither stands for the other."""
COMPARED = 20
"""Some programs give all their mails one id: only so many, the newest, are looked at."""

# Fields and their continuations; a mail whose headers end in something else has that in its body, which is compared whole.
_HEADERS = re.compile(rb"(?:[\x21-\x39\x3b-\x7e]++[ \t]*+:[^\n]*+\n(?:[ \t]++[^\s][^\n]*+\n)*+)*+")
_FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]++)[ \t]*+:([^\n]*+\n(?:[ \t][^\n]*+\n)*+)")
_MBOX_LINE = re.compile(rb"From [^\n]*+\n")


@dataclass(frozen=True)
class SentContent:
    """What a sender sent: the headers that no server changes, as (name, value) in their order, and all that follows the
    headers. Lines end in LF, values are unfolded."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def sent_content(raw: bytes) -> SentContent:
    """What the copies of one mail have in common, whichever way each came."""
    lines = raw.replace(b"\r\n", b"\n")
    mbox_line = _MBOX_LINE.match(lines)
    found = _HEADERS.match(lines, mbox_line.end() if mbox_line else 0)
    assert found is not None, "it matches nothing as well"
    fields = ((field[1].lower(), b" ".join(field[2].split())) for field in _FIELD.finditer(found[0]))
    headers = tuple(field for field in fields if field[0] in SENT_HEADERS)
    return SentContent(headers, lines[found.end() :].rstrip(b"\n"))


def case_of_copy(session: Session, mail: InboundMail, *, silent: bool, forged: bool) -> str | None:
    """The case of a filed mail that `mail`, whose Message-ID is known, is another copy of; None when there is none.

    Until the caller's transaction ends nobody else files a mail of this id. A mail that is not `silent` has no copy among
    those that were put before nobody: a copy by way of a mailing list must not hide the one that somebody should read. Nor
    has one that is not `forged` among those that seemed to be, as what a forwarder passes on does. Of a mail that was too
    big to be taken in nobody knows whether the rest is the same.
    """
    if mail.whole_bytes is not None or mail.message_id is None:
        return None
    _keep_others_out(session, mail.message_id)
    candidates = session.execute(
        select(InboundMail.id, InboundMail.conversation_id, InboundMail.kind, InboundMail.sorting)
        .where(
            InboundMail.message_id == mail.message_id,
            InboundMail.id != mail.id,
            InboundMail.kind != MailKind.COPY,
            InboundMail.filed_at.is_not(None),
            InboundMail.conversation_id.is_not(None),
            InboundMail.whole_bytes.is_(None),
        )
        .order_by(InboundMail.id.desc())
        .limit(COMPARED)
    ).all()
    content = sent_content(mail.raw) if candidates else None
    for mail_id, conversation_id, kind, sorting in candidates:
        unseen = kind != MailKind.PERSON or (sorting or {}).get("action") == "ignore"
        seemed_forged = ((sorting or {}).get("sender") or {}).get("standing") == "failed"
        if (unseen and not silent) or (seemed_forged and not forged):
            continue
        raw = session.scalar(select(InboundMail.raw).where(InboundMail.id == mail_id))
        if raw is not None and sent_content(raw) == content:
            return str(conversation_id)
    return None


def _keep_others_out(session: Session, message_id: str) -> None:
    """SQLite lets one writer in at a time; on PostgreSQL two workers could file two copies side by side."""
    if session.get_bind().dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(message_id.encode()).digest()[:8], signed=True)
        session.execute(select(func.pg_advisory_xact_lock(key)))
