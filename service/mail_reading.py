"""One mail, from raw bytes to what the desk files: read, sorted, and answered, in draft or ready to go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog

import triage
from desk import AutomaticKind, FiledAttachment, FiledMail, InboundMail, MailKind, Returned, mails_since
from faq_kb import Hit
from service.attachments import keep_attachments
from service.wiring import House
from shop import OrderState, OrderView, ParcelState, customer_by_email, find_order, orders_of
from store import utc_now

log = structlog.get_logger()

MAX_ORDERS = 100
MAX_QUESTION = 2000
"""Characters of a mail that the FAQ is asked with."""
REPEATED_WITHIN = timedelta(days=7)


@dataclass(frozen=True)
class AutomaticReply:
    """A reply that may go out without an agent; `slug` is the FAQ entry that it quotes."""

    kind: AutomaticKind
    draft: triage.Draft
    slug: str | None = None


@dataclass(frozen=True)
class SortedMail:
    """A mail as it came in, what is in it, and what it is about."""

    mail: InboundMail
    read: triage.Mail
    sorting: triage.Sorting


@dataclass(frozen=True)
class StudiedMail:
    """A mail read and sorted, what was found out about it, and the replies made for it.

    The decision in `result` is the most that may happen: `reply` is its automatic reply, None when there is to be none.
    `customer_id` is the customer whose address the sender is verified to have.
    """

    filed: FiledMail
    result: triage.TriageResult
    findings: triage.Findings
    reply: AutomaticReply | None
    customer_id: int | None


def sort_mails(house: House, mails: Sequence[InboundMail]) -> list[SortedMail]:
    """Read and sort mails; several together take little more than half the time of one by one."""
    limits = house.settings.mail.attachments.limits
    read = [triage.read_mail(mail.raw, envelope_from=mail.envelope_from, limits=limits) for mail in mails]
    # Of those that are read together none is filed yet; a sender's earlier ones count as if they were.
    senders = [each.from_address for each in read]
    contacts = [
        _contact(house, each, mail, together=senders[:place].count(each.from_address))
        for place, (each, mail) in enumerate(zip(read, mails, strict=True))
    ]
    sortings = triage.sort_all(read, house.understanding, contacts=contacts)
    return [SortedMail(*each) for each in zip(mails, read, sortings, strict=True)]


def study(house: House, found: SortedMail) -> StudiedMail:
    """Keep a mail's files, find what there is to answer it with, and write the drafts."""
    mail, read, sorting = found.mail, found.read, found.sorting
    sender = triage.verify_sender(mail.raw, read.from_address, house.settings.mail.authserv_id)
    order, customer_id = _order_of(house, read, sorting) if sender.standing == "verified" else (None, None)
    answer = _faq_answer(house, read, sorting)
    findings = triage.Findings(
        sender=sender,
        order_answers=order is not None and _says_all(house, order) and len(sorting.order_numbers) <= 1,
        faq_answers=answer is not None and answer.language == sorting.language,
        desk_open=house.hours.is_open(utc_now()),
    )
    decision = triage.decide(read, sorting, ours=house.our_side, policy=house.mail_policy, findings=findings)
    result = triage.TriageResult(read, sorting, sender, decision)
    silent = decision.action == "ignore"
    by_a_machine = decision.verdict.is_bounce or decision.verdict.is_auto_reply
    draft = None if silent else _write(house, result, "mail", order, answer)
    filed = _filed(
        house,
        read,
        sorting.language,
        sorting=result.to_dict(),
        draft={"subject": draft.subject, "text": draft.text} if draft else None,
        silent=silent,
        # What a machine sends is told in one line of its case, without the files.
        attachments=() if by_a_machine else keep_attachments(house, mail, read),
    )
    filed = replace(_of_a_machine(house, filed, mail.raw, result), forged=sender.standing == "failed")
    return StudiedMail(filed, result, findings, _automatic_reply(house, result, order, answer), customer_id)


def file_unsorted(house: House, mail: InboundMail) -> FiledMail:
    """The mail as it is, for an agent to look at: when it could not be sorted, or a machine wrote it."""
    language = house.settings.default_language
    read = triage.read_mail(mail.raw, limits=house.settings.mail.attachments.limits)
    files = keep_attachments(house, mail, read)
    return _filed(house, read, language, sorting={}, draft=None, silent=False, attachments=files)


def _of_a_machine(house: House, filed: FiledMail, raw: bytes, result: triage.TriageResult) -> FiledMail:
    """`filed`, and for a bounce what it says of which mail of ours; an automatic reply is marked as one."""
    verdict = result.decision.verdict
    if verdict.is_bounce:
        delivery = triage.read_delivery(raw)
        named = house.case_signer.named_in(result.mail, delivery.original_ids)
        return replace(
            filed,
            kind=MailKind.BOUNCE,
            answered=named.answered,
            original_ids=delivery.original_ids,
            returned=tuple(
                Returned(each.address, each.lasting == "permanent", each.delayed, each.status, each.reason)
                for each in delivery.failures
            ),
        )
    return replace(filed, kind=MailKind.AUTO_REPLY) if verdict.is_auto_reply else filed


def _contact(house: House, read: triage.Mail, mail: InboundMail, together: int) -> triage.Contact:
    """What came before: the mail's age, and what its sender wrote in the last days, `together` mails of it not filed yet."""
    now = utc_now()
    written = min(read.date or mail.received_at, mail.received_at)
    with house.database.read() as session:
        earlier = mails_since(session, read.from_address, now - REPEATED_WITHIN, besides=mail.id)
    return triage.Contact(now - written, earlier + together)


def _order_of(house: House, read: triage.Mail, sorting: triage.Sorting) -> tuple[OrderView | None, int | None]:
    """The order that a verified sender writes about, and who they are: the first order named that is theirs, or, when none
    is named, the only one they have. Whose reply would go elsewhere gets no facts."""
    if read.reply_to and read.reply_to != read.from_address:
        return None, None
    with house.database.read() as session:
        customer = customer_by_email(session, read.from_address)
        if customer is None:
            return None, None
        own = {order.id: order for order in orders_of(session, customer.id, limit=MAX_ORDERS)}
        named = [found.id for number in sorting.order_numbers if (found := find_order(session, number)) is not None]
        if not sorting.order_numbers and len(own) == 1:
            named = list(own)
        return next((own[each] for each in named if each in own), None), customer.id


def _says_all(house: House, order: OrderView) -> bool:
    """Whether an order's facts leave nothing to explain: it is under way, nothing is lost, and no date has passed."""
    today = utc_now().astimezone(house.hours.zone).date()
    open_parcels = [each for each in order.parcels if each.state != ParcelState.DELIVERED]
    dates = [order.promised_on, *(each.expected_on for each in open_parcels)]
    return (
        order.state in (OrderState.PAID, OrderState.PREPARING, OrderState.SHIPPED)
        and all(each.state != ParcelState.LOST for each in order.parcels)
        and (not order.parcels or bool(open_parcels))
        and all(each is None or each >= today for each in dates)
    )


def _faq_answer(house: House, read: triage.Mail, sorting: triage.Sorting) -> Hit | None:
    try:
        found = house.faq.search(f"{read.subject}\n{read.text}"[:MAX_QUESTION], sorting.language, 1)
    except Exception:
        log.exception("the FAQ cannot be asked; the mail is treated without it", message_id=read.message_id)
        return None
    return found.top[0] if found.answered else None


def _automatic_reply(
    house: House, result: triage.TriageResult, order: OrderView | None, answer: Hit | None
) -> AutomaticReply | None:
    if result.decision.action == "answer":
        by_order = result.sorting.primary in triage.ORDER_MOTIVES
        facts, quoted = (order, None) if by_order else (None, answer)
        draft = _write(house, result, "automatic", facts, quoted)
        return AutomaticReply(AutomaticKind.ANSWER, draft, quoted.slug if quoted else None) if draft else None
    if result.decision.acknowledge:
        draft = _write(house, result, "acknowledgement", None, None)
        return AutomaticReply(AutomaticKind.ACKNOWLEDGEMENT, draft) if draft else None
    return None


def _write(
    house: House, result: triage.TriageResult, kind: triage.ReplyKind, order: OrderView | None, answer: Hit | None
) -> triage.Draft | None:
    within = timedelta(hours=house.settings.mail.policy.answer_within_hours)
    try:
        return triage.draft_reply(
            result.mail,
            result.sorting,
            shop_name=house.settings.mail.sender_name,
            faq_answer=answer.answer_markdown if answer else None,
            order=order.to_dict() if order else None,
            promised=house.hours.answer_by(utc_now(), within),
            kind=kind,
        )
    except Exception:
        log.exception("no draft for this mail; it is filed without one", message_id=result.mail.message_id)
        return None


def _filed(
    house: House,
    read: triage.Mail,
    language: str,
    *,
    sorting: Mapping[str, Any],
    draft: Mapping[str, str] | None,
    silent: bool,
    attachments: tuple[FiledAttachment, ...],
) -> FiledMail:
    named = house.case_signer.named_in(read)
    return FiledMail(
        message_id=read.message_id,
        thread_ids=read.thread_ids,
        sender=read.from_address,
        reply_to=read.reply_to,
        subject=read.subject,
        language=language,
        text=read.text,
        quoted=read.quoted,
        signature=read.signature,
        attachments=attachments,
        defects=read.defects,
        sorting=sorting,
        draft=draft,
        silent=silent,
        addressed=named.addressed,
        answered=named.answered,
        tags=named.tags,
    )
