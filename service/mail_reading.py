"""One mail, from raw bytes to what the desk files: read, sorted, and answered in draft."""

from __future__ import annotations

import triage
from desk import FiledMail, InboundMail
from service.wiring import House


def read_and_draft(house: House, mail: InboundMail) -> FiledMail:
    """Read and sort a mail and draft its reply. No order data enters a draft here: a From line proves nothing."""
    result = triage.triage(mail.raw, house.understanding, envelope_from=mail.envelope_from, ours=house.our_side)
    read, sorting = result.mail, result.sorting
    draft = None
    if result.decision.action != "ignore":
        answer = house.faq.search(f"{read.subject}\n{read.text}"[:2000], sorting.language, 1)
        drafted = triage.draft_reply(
            read,
            sorting,
            shop_name=house.settings.mail.sender_name,
            faq_answer=answer.top[0].answer_markdown if answer.answered else None,
        )
        draft = {"subject": drafted.subject, "text": drafted.text}
    return FiledMail(
        message_id=read.message_id,
        thread_ids=read.thread_ids,
        sender=read.from_address,
        reply_to=read.reply_to,
        subject=read.subject,
        language=sorting.language,
        text=read.text,
        quoted=read.quoted,
        attachments=tuple(each.name for each in read.attachments),
        sorting=result.to_dict(),
        draft=draft,
        silent=result.decision.action == "ignore",
    )
