"""The files that come with mail: put into the file store before the transaction that names them, swept when none does."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta

import structlog

import triage
from desk import CUT_OFF, FiledAttachment, InboundMail, named_digests
from service.wiring import House
from store import ORPHAN_AFTER

log = structlog.get_logger()


def keep_attachments(house: House, mail: InboundMail, read: triage.Mail) -> tuple[FiledAttachment, ...]:
    """Put the files of a mail on the disk and say where; what the settings leave out is named with the reason.

    Raises OSError when the disk is full: the mail is then read again later.
    """
    if not read.attachments:
        return ()
    return tuple(_kept(house, mail, len(read.attachments) - 1))


def sweep_files(house: House, *, older_than: timedelta = ORPHAN_AFTER) -> int:
    """Remove the files that no row names, as a kill between file and row leaves them; returns how many."""

    def named(digests: Collection[str]) -> Collection[str]:
        with house.database.read() as session:
            return named_digests(session, digests)

    removed = house.files.sweep(named, older_than=older_than)
    if removed:
        log.info("attachments that no mail names are gone", files=removed)
    return removed


def _kept(house: House, mail: InboundMail, last: int) -> Iterator[FiledAttachment]:
    limits = house.settings.mail.attachments.limits
    for index, (file, content) in enumerate(triage.read_attachments(mail.raw, limits=limits)):
        cut = bool(mail.whole_bytes) and index == last
        if content is None or cut:
            reason = file.left_out or CUT_OFF
            yield FiledAttachment(file.name, file.content_type, file.size, None, reason)
        else:
            digest = house.files.keep(content)
            yield FiledAttachment(file.name, file.content_type, len(content), digest)
