"""The files that came with a mail: rows that name them; their content lies in a `FileStore`, under its hash."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from desk.tables import Attachment, Event

CUT_OFF = "cut_off"
"""Why a file is left out whose mail was too big: only the mail's beginning has been taken in, and it may end in the file."""


@dataclass(frozen=True)
class FiledAttachment:
    """A file of a read mail. `digest` is its name in the file store, where it is already; None when it is only in the raw
    mail, `left_out` is then the reason. `size` is in bytes, `content_type` as the sender states it."""

    name: str
    content_type: str
    size: int
    digest: str | None
    left_out: str = ""


def note_attachments(session: Session, message: Event, mail_id: int, files: Iterable[FiledAttachment]) -> None:
    """Name the files that came with `message`."""
    session.add_all(
        Attachment(
            conversation_id=message.conversation_id,
            event_number=message.number,
            mail_id=mail_id,
            name=each.name,
            content_type=each.content_type[:200],
            size=each.size,
            digest=each.digest,
            left_out=each.left_out,
        )
        for each in files
    )


def attachments_of(session: Session, conversation_id: str) -> Mapping[int, Sequence[Attachment]]:
    """The files of a conversation's messages by event number, in the order of the mail."""
    found: defaultdict[int, list[Attachment]] = defaultdict(list)
    rows = select(Attachment).where(Attachment.conversation_id == conversation_id).order_by(Attachment.id)
    for each in session.scalars(rows):
        found[each.event_number].append(each)
    return found


def attachment(session: Session, attachment_id: int) -> Attachment | None:
    return session.get(Attachment, attachment_id)


def named_digests(session: Session, digests: Collection[str]) -> set[str]:
    """Those of `digests` that a row names."""
    rows = session.scalars(select(Attachment.digest).where(Attachment.digest.in_(digests)).distinct())
    return {digest for digest in rows if digest is not None}
