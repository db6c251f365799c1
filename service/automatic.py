"""What a mail gets once its case is known: filed, and in the same transaction answered or acknowledged, within the budget."""

from __future__ import annotations

from dataclasses import replace

import structlog
from sqlalchemy.orm import Session

import triage
from desk import (
    Conversation,
    InboundMail,
    count_automatic,
    file_mail,
    identify,
    is_first_mail,
    note_sorting,
    send_automatic,
)
from service.mail_reading import StudiedMail
from service.wiring import House
from store import utc_now

log = structlog.get_logger()


def file_and_answer(session: Session, house: House, mail_id: int, studied: StudiedMail) -> Conversation | None:
    """File a studied mail; None when it was filed before or belongs to no case.

    Only here is it decided for good whether its automatic reply goes out: only in this transaction is it certain how many
    have gone out already. The mail is filed, the decision noted and the reply stored together, or not at all.
    """
    conversation = file_mail(session, mail_id, studied.filed, reopen_within=house.settings.mail.reopen_within)
    if conversation is None or studied.result.decision.action == "ignore":
        return conversation
    mail = session.get_one(InboundMail, mail_id)
    composed = _compose(house, conversation, studied)
    decision = _decide_for_good(session, house, conversation, studied, composed)
    result = replace(studied.result, decision=decision)
    note_sorting(session, mail, result.to_dict(), urgent=result.sorting.urgency.urgent)
    if studied.customer_id is not None and conversation.customer_id is None:
        identify(session, conversation.id, studied.customer_id)
    if composed is not None and studied.reply is not None and decision.speaks:
        send_automatic(
            session,
            mail,
            studied.reply.kind,
            text=studied.reply.draft.text,
            slug=studied.reply.slug,
            message_id=composed.message_id,
            recipient=composed.recipient,
            raw=composed.raw,
        )
    return conversation


def _compose(house: House, conversation: Conversation, studied: StudiedMail) -> triage.Composed | None:
    if studied.reply is None:
        return None
    try:
        return house.compose_automatic(conversation, studied.result.mail, studied.reply.draft)
    except ValueError as error:
        log.warning("no automatic reply: an agent gets the mail", reason=str(error))
        return None


def _decide_for_good(
    session: Session, house: House, conversation: Conversation, studied: StudiedMail, composed: triage.Composed | None
) -> triage.Decision:
    """The decision with the case and the budget known: it can only withdraw the reply that was prepared."""
    first = studied.result.decision
    if not first.speaks:
        return first
    if composed is None:
        unanswered = replace(first, action="draft", reasons=("not_composed",)) if first.action == "answer" else first
        return replace(unanswered, acknowledge=False)
    policy = house.settings.mail.policy
    counted = count_automatic(session, conversation.id, composed.recipient, now=utc_now())
    broken = counted.to_all >= policy.per_hour
    decision = triage.decide(
        studied.result.mail,
        studied.result.sorting,
        ours=house.our_side,
        sent=triage.Sent(counted.in_case, counted.to_address, broken, policy.per_sender_and_day),
        policy=house.mail_policy,
        findings=replace(studied.findings, first_mail=is_first_mail(session, conversation.id)),
    )
    if decision.speaks and counted.to_all + 1 == policy.per_hour:
        log.error(
            "this was the last automatic mail for an hour: mail.policy.per_hour is used up", limit=policy.per_hour
        )
    return decision
