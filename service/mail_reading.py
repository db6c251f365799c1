"""One mail, from raw bytes to what the desk files: read, sorted, and answered, in draft or ready to go out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import structlog

import triage
from desk import AutomaticKind, FiledMail, InboundMail, MailKind, Returned, mails_since, said_before
from faq_kb import Hit
from service.attachments import keep_attachments
from service.mail_orders import orders_of_mail, says_all
from service.wiring import House
from store import utc_now

log = structlog.get_logger()

MAX_QUESTION = 2000
"""Characters of a mail that the FAQ is asked with."""
REPEATED_WITHIN = timedelta(days=7)
FRESH_FOR = timedelta(days=2)
"""After which nothing is answered by itself: a mailbox that is read for the first time, or an archive, holds the mail of years."""


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
    filed = _filed(house, read, sorting.language)
    filed = replace(filed, verified=sender.standing == "verified", forged=sender.standing == "failed")
    with house.database.read() as session:
        earlier = said_before(session, filed)
    orders = orders_of_mail(house, read, sorting.order_numbers, sender.standing, earlier)
    answer = _faq_answer(house, read, sorting)
    findings = triage.Findings(
        sender=sender,
        order_answers=len(orders.own) == 1
        and len(sorting.order_numbers) <= 1
        and says_all(orders.own[0], _today(house)),
        faq_answers=answer is not None,
        desk_open=house.hours.is_open(utc_now()),
        fresh=not mail.source.startswith("import:") and _age(read, mail) < FRESH_FOR,
    )
    decision = triage.decide(read, sorting, ours=house.our_side, policy=house.mail_policy, findings=findings)
    result = triage.TriageResult(read, sorting, sender, decision)
    writer = Writer(house, read, sorting, orders.facts(_today(house)), answer, mail.received_at)
    silent = decision.action == "ignore"
    by_a_machine = decision.verdict.is_bounce or decision.verdict.is_auto_reply
    filed = replace(
        filed,
        sorting=result.to_dict(),
        draft=None if silent else _plain(writer.write("mail")),
        silent=silent,
        # What a machine sends is told in one line of its case, without the files.
        attachments=() if by_a_machine else keep_attachments(house, mail, read),
    )
    filed = _of_a_machine(house, filed, mail.raw, result)
    return StudiedMail(filed, result, findings, _automatic_reply(writer, decision), orders.customer_id)


def redraft(house: House, mail: InboundMail) -> dict[str, str] | None:
    """The draft for a mail that was filed before, with what is true now: orders move on while it waits. None where nothing
    is drafted."""
    if not mail.sorting or not mail.draft:
        return None
    read = triage.read_mail(mail.raw, limits=house.settings.mail.attachments.limits)
    sorting = triage.sorting_from(mail.sorting)
    standing = mail.sorting["sender"]["standing"]
    filed = _filed(house, read, sorting.language)
    with house.database.read() as session:
        earlier = said_before(session, replace(filed, forged=standing == "failed"))
    orders = orders_of_mail(house, read, sorting.order_numbers, standing, earlier, may_try=False)
    answer = _faq_answer(house, read, sorting)
    return _plain(Writer(house, read, sorting, orders.facts(_today(house)), answer, mail.received_at).write("mail"))


def file_unsorted(house: House, mail: InboundMail) -> FiledMail:
    """The mail as it is, for an agent to look at: when it could not be sorted, or a machine wrote it."""
    language = house.settings.default_language
    read = triage.read_mail(mail.raw, limits=house.settings.mail.attachments.limits)
    files = keep_attachments(house, mail, read)
    return replace(_filed(house, read, language), attachments=files)


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
    with house.database.read() as session:
        earlier = mails_since(session, read.from_address, utc_now() - REPEATED_WITHIN, besides=mail.id)
    return triage.Contact(_age(read, mail), earlier + together)


def _age(read: triage.Mail, mail: InboundMail) -> timedelta:
    return utc_now() - min(read.date or mail.received_at, mail.received_at)


def _today(house: House) -> date:
    return utc_now().astimezone(house.hours.zone).date()


def _faq_answer(house: House, read: triage.Mail, sorting: triage.Sorting) -> Hit | None:
    try:
        found = house.faq.search(f"{read.subject}\n{read.text}"[:MAX_QUESTION], sorting.language, 1)
    except Exception:
        log.exception("the FAQ cannot be asked; the mail is treated without it", message_id=read.message_id)
        return None
    answer = found.top[0] if found.answered else None
    # In another language than the rest of the reply it would be no answer.
    return answer if answer is not None and answer.language == sorting.language else None


@dataclass(frozen=True)
class Writer:
    """Everything that a reply to one mail is written from."""

    house: House
    read: triage.Mail
    sorting: triage.Sorting
    facts: triage.OrderFacts
    answer: Hit | None
    received_at: datetime

    def write(self, kind: triage.ReplyKind) -> triage.Draft | None:
        """The reply; None, and a line in the log, where it cannot be written."""
        now, mail = utc_now(), self.house.settings.mail
        promised = self.house.hours.answer_by(self.received_at, timedelta(hours=mail.policy.answer_within_hours))
        try:
            return triage.draft_reply(
                self.read,
                self.sorting,
                shop_name=mail.sender_name,
                faq_answer=self.answer.answer_markdown if self.answer else None,
                orders=self.facts,
                promised=promised if promised and promised > now else None,
                kind=kind,
            )
        except Exception:
            log.exception("no draft for this mail; it is filed without one", message_id=self.read.message_id)
            return None


def _automatic_reply(writer: Writer, decision: triage.Decision) -> AutomaticReply | None:
    if decision.action == "answer":
        by_order = writer.sorting.primary in triage.ORDER_MOTIVES
        # Nothing but what the decision was taken on: no order where an entry answers, and no entry where an order does.
        facts = replace(writer.facts, unproven=()) if by_order else replace(writer.facts, orders=(), unproven=())
        quoted = None if by_order else writer.answer
        draft = replace(writer, facts=facts, answer=quoted).write("automatic")
        return AutomaticReply(AutomaticKind.ANSWER, draft, quoted.slug if quoted else None) if draft else None
    if decision.acknowledge:
        draft = writer.write("acknowledgement")
        return AutomaticReply(AutomaticKind.ACKNOWLEDGEMENT, draft) if draft else None
    return None


def _plain(draft: triage.Draft | None) -> dict[str, str] | None:
    return {"subject": draft.subject, "text": draft.text} if draft else None


def _filed(house: House, read: triage.Mail, language: str) -> FiledMail:
    """A mail as the desk files it, before anything is known but what it says itself."""
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
        attachments=(),
        defects=read.defects,
        sorting={},
        draft=None,
        silent=False,
        addressed=named.addressed,
        answered=named.answered,
        tags=named.tags,
    )
