"""One mail, from raw bytes to what the desk files: read, sorted, and answered in draft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

import triage
from desk import FiledMail, InboundMail
from service.wiring import House

log = structlog.get_logger()


def read_and_draft(house: House, mail: InboundMail) -> FiledMail:
    """Read and sort a mail and draft its reply. No order data enters a draft here: a From line proves nothing."""
    result = triage.triage(mail.raw, house.understanding, envelope_from=mail.envelope_from, ours=house.our_side)
    silent = result.decision.action == "ignore"
    draft = None if silent else _draft(house, result)
    return _filed(result.mail, result.sorting.language, sorting=result.to_dict(), draft=draft, silent=silent)


def file_unsorted(mail: InboundMail) -> FiledMail:
    """The mail as it is, for an agent to look at: when it could not be sorted."""
    return _filed(triage.read_mail(mail.raw), "fr", sorting={}, draft=None, silent=False)


def _draft(house: House, result: triage.TriageResult) -> dict[str, str] | None:
    read, sorting = result.mail, result.sorting
    try:
        answer = house.faq.search(f"{read.subject}\n{read.text}"[:2000], sorting.language, 1)
        drafted = triage.draft_reply(
            read,
            sorting,
            shop_name=house.settings.mail.sender_name,
            faq_answer=answer.top[0].answer_markdown if answer.answered else None,
        )
    except Exception:
        log.exception("no draft for this mail; it is filed without one", message_id=read.message_id)
        return None
    return {"subject": drafted.subject, "text": drafted.text}


def _filed(
    read: triage.Mail, language: str, *, sorting: Mapping[str, Any], draft: Mapping[str, str] | None, silent: bool
) -> FiledMail:
    return FiledMail(
        message_id=read.message_id,
        thread_ids=read.thread_ids,
        sender=read.from_address,
        reply_to=read.reply_to,
        subject=read.subject,
        language=language,
        text=read.text,
        quoted=read.quoted,
        attachments=tuple(each.name for each in read.attachments),
        sorting=sorting,
        draft=draft,
        silent=silent,
    )
