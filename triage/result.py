"""One mail through the whole room, and the object that the command line and the API print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from triage.decide import DRAFT_ALL, Decision, Findings, Policy, decide
from triage.machine import OurSide, Sent
from triage.mime import LIMITS, Limits
from triage.parse import Mail, read_mail
from triage.sort import MailUnderstanding, MotiveGuess, Sorting, sort_all
from triage.urgency import Urgency
from triage.verify import SenderCheck, verify_sender


@dataclass(frozen=True)
class TriageResult:
    """A mail, what it is about, who vouches for its sender, and what is to be done with it and why."""

    mail: Mail
    sorting: Sorting
    sender: SenderCheck
    decision: Decision

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values. `reasons`, `machine[].reason` and `attachments[].left_out` are stable keys, `motives` those given,
        the primary one first."""
        mail, sorting = self.mail, self.sorting
        return {
            "message_id": mail.message_id,
            "subject": mail.subject,
            "from": mail.from_address,
            "from_name": mail.from_name,
            "reply_to": mail.reply_to,
            "to": [each.address for each in mail.to],
            "date": mail.date.isoformat() if mail.date else None,
            "in_reply_to": mail.in_reply_to,
            "references": list(mail.references),
            "language": sorting.language,
            "language_probability": round(sorting.language_probability, 4),
            "motives": [
                {"motive": guess.motive, "probability": round(guess.probability, 4)} for guess in sorting.motives
            ],
            "wants_human": sorting.wants_human,
            "wants_human_probability": round(sorting.wants_human_probability, 4),
            "order_numbers": list(sorting.order_numbers),
            "urgency": {
                "score": sorting.urgency.score,
                "urgent": sorting.urgency.urgent,
                "reasons": list(sorting.urgency.reasons),
            },
            "sender": {"standing": self.sender.standing, "why": self.sender.why},
            "action": self.decision.action,
            "reasons": list(self.decision.reasons),
            "acknowledge": self.decision.acknowledge,
            "team": self.decision.team,
            "machine": [
                {"reason": reason.name, "strength": reason.strength, "detail": reason.detail}
                for reason in self.decision.verdict.reasons
            ],
            "text": mail.text,
            "quoted": mail.quoted,
            "signature": mail.signature,
            "attachments": [
                {
                    "name": file.name,
                    "content_type": file.content_type,
                    "size": file.size,
                    "inline": file.inline,
                    "left_out": file.left_out,
                }
                for file in mail.attachments
            ],
            "defects": list(mail.defects),
        }


def sorting_from(plain: Mapping[str, Any]) -> Sorting:
    """The sorting that `TriageResult.to_dict` has written down. Raises KeyError when `plain` is none."""
    urgency = plain["urgency"]
    return Sorting(
        language=plain["language"],
        language_probability=plain["language_probability"],
        motives=tuple(MotiveGuess(each["motive"], each["probability"]) for each in plain["motives"]),
        # Not written down: a decision that was taken is not taken again.
        confident=False,
        error_rate=1.0,
        wants_human=plain["wants_human"],
        wants_human_probability=plain["wants_human_probability"],
        order_numbers=tuple(plain["order_numbers"]),
        urgency=Urgency(urgency["score"], tuple(urgency["reasons"])),
    )


def triage(
    raw: bytes,
    understanding: MailUnderstanding,
    *,
    envelope_from: str | None = None,
    ours: OurSide | None = None,
    sent: Sent | None = None,
    policy: Policy = DRAFT_ALL,
    language_hint: str | None = None,
    limits: Limits = LIMITS,
) -> TriageResult:
    """Read, sort and decide one raw mail. Raises only what `understanding` raises, whatever the bytes are.

    `envelope_from` is the sender the mail server was told ("" for bounces), `ours` the shop's own addresses, `sent` how
    many automatic answers have gone out already. Orders and FAQ are not looked into, so that no mail is found to be
    answerable: a policy that would answer says in `reasons` what is missing.
    """
    mail = read_mail(raw, envelope_from=envelope_from, limits=limits)
    return _decided([raw], [mail], understanding, ours, sent, policy, language_hint)[0]


def triage_all(
    raws: Sequence[bytes],
    understanding: MailUnderstanding,
    *,
    ours: OurSide | None = None,
    policy: Policy = DRAFT_ALL,
    limits: Limits = LIMITS,
) -> list[TriageResult]:
    """`triage` for several raw mails, which are read together, best `MAILS_TOGETHER` at a time."""
    mails = [read_mail(raw, limits=limits) for raw in raws]
    return _decided(raws, mails, understanding, ours, None, policy, None)


def _decided(
    raws: Sequence[bytes],
    mails: Sequence[Mail],
    understanding: MailUnderstanding,
    ours: OurSide | None,
    sent: Sent | None,
    policy: Policy,
    language_hint: str | None,
) -> list[TriageResult]:
    results = []
    sortings = sort_all(mails, understanding, language_hint=language_hint)
    for raw, mail, sorting in zip(raws, mails, sortings, strict=True):
        sender = verify_sender(raw, mail.from_address, ours.authserv_id if ours else "")
        decision = decide(mail, sorting, ours=ours, sent=sent, policy=policy, findings=Findings(sender))
        results.append(TriageResult(mail, sorting, sender, decision))
    return results
