"""What happens with a mail: answered, drafted, queued for a human who was asked for, or kept and put before nobody.

A `Policy` is data: what may be done per motive. The rules below only ever make an action more careful than the policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from triage.machine import MachineVerdict, OurSide, Sent, judge
from triage.parse import Mail
from triage.sort import Sorting
from triage.verify import UNKNOWN_SENDER, SenderCheck

Action = Literal["answer", "draft", "queue", "ignore"]
Allowed = Literal["answer", "draft", "queue"]
Hours = Literal["always", "open", "closed"]

ORDER_MOTIVES = frozenset({"order_tracking"})
"""Motives that an order's facts answer. Every other one is answered by an FAQ entry, or by a human."""


@dataclass(frozen=True)
class Rule:
    """What may be done with a mail of one motive.

    `error_rate` is the share of wrongly sorted mails that an automatic answer may cost, `hours` when one may go out: always,
    or only while the desk is open or closed. `team` is who gets what is not answered.
    """

    action: Allowed = "draft"
    error_rate: float = 0.01
    hours: Hours = "always"
    team: str = ""


@dataclass(frozen=True)
class Policy:
    """One rule a motive; `otherwise` holds for the motives that `by_motive` does not name.

    With `acknowledge`, whoever gets no automatic answer is told at once that the mail has come and when a human answers.
    """

    by_motive: Mapping[str, Rule] = field(default_factory=lambda: MappingProxyType({}))
    otherwise: Rule = Rule()
    acknowledge: bool = False

    def rule(self, motive: str) -> Rule:
        return self.by_motive.get(motive, self.otherwise)


DRAFT_ALL = Policy()


@dataclass(frozen=True)
class Findings:
    """What was found out about a mail beyond its bytes: who sent it, and what there is to answer with.

    `order_answers`: the facts of the one order it is about belong to its verified sender and leave nothing to explain;
    `faq_answers`: an FAQ entry passes its threshold; `first_mail`: nothing else has been said in its case; `fresh`: it was
    written to us just now, and is no old mail of an archive.
    """

    sender: SenderCheck = UNKNOWN_SENDER
    order_answers: bool = False
    faq_answers: bool = False
    desk_open: bool = True
    first_mail: bool = True
    fresh: bool = True


@dataclass(frozen=True)
class Decision:
    """`reasons` are stable keys: why this action and none more automatic. `verdict` is what the machine rules said.

    `acknowledge`: an automatic acknowledgement goes out beside the action; `team`: who the policy gives the mail to.
    """

    action: Action
    reasons: tuple[str, ...]
    verdict: MachineVerdict
    acknowledge: bool = False
    team: str = ""

    @property
    def speaks(self) -> bool:
        """Whether an automatic mail goes out."""
        return self.action == "answer" or self.acknowledge


def decide(
    mail: Mail,
    sorting: Sorting,
    *,
    ours: OurSide | None = None,
    sent: Sent | None = None,
    policy: Policy = DRAFT_ALL,
    findings: Findings | None = None,
) -> Decision:
    """The one action for a mail.

    Machine mail is ignored. Whoever asks for a human gets one. A mail with several motives is treated as the most careful
    of them. An automatic answer needs a policy that allows it, a reading sure enough for the policy's error rate,
    something true to say to somebody who may hear it, and no reason to withhold; otherwise there is a draft.
    """
    found = findings or Findings()
    verdict = judge(mail, ours, sent)
    if verdict.is_machine:
        return Decision("ignore", verdict.names, verdict)
    rules = [policy.rule(guess.motive) for guess in sorting.motives]
    allowed = {rule.action for rule in rules}
    action: Action = "draft"
    reasons: tuple[str, ...] = ("policy", *verdict.names)
    if sorting.wants_human:
        action, reasons = "queue", ("wants_human", *verdict.names)
    elif "queue" in allowed:
        action = "queue"
    elif allowed == {"answer"}:
        against = tuple(dict.fromkeys([*_against_an_answer(mail, sorting, rules[0], found), *verdict.names]))
        action, reasons = ("draft", against) if against else ("answer", ("policy",))
    # The owner of a From line that is forged, or answered elsewhere, may not have written to us. Within a case somebody is at
    # work already.
    may_hear = found.sender.standing != "failed" and not _answered_elsewhere(mail) and found.first_mail and found.fresh
    acknowledge = policy.acknowledge and action != "answer" and verdict.may_be_answered and may_hear
    return Decision(action, reasons, verdict, acknowledge, rules[0].team)


def _answered_elsewhere(mail: Mail) -> bool:
    return bool(mail.reply_to) and mail.reply_to != mail.from_address


def _against_an_answer(mail: Mail, sorting: Sorting, rule: Rule, found: Findings) -> Iterator[str]:
    """Why a mail whose policy allows an automatic answer gets none; the machine rules are not repeated here."""
    if rule.hours != "always" and (rule.hours == "open") != found.desk_open:
        yield "outside_hours"
    if not found.first_mail:
        yield "not_first_mail"
    if not found.fresh:
        yield "too_old"
    if len(sorting.motives) > 1:
        yield "several_motives"
    if sorting.error_rate > rule.error_rate:
        yield "not_confident"
    if sorting.urgency.urgent:
        yield "urgent"
    if any(not file.inline for file in mail.attachments):
        yield "attachment"
    if _answered_elsewhere(mail):
        yield "other_reply_address"
    if found.sender.standing == "failed":
        yield "sender_failed"
    elif sorting.primary not in ORDER_MOTIVES:
        if not found.faq_answers:
            yield "no_faq_answer"
    elif found.sender.standing != "verified":
        yield "sender_unverified"
    elif not found.order_answers:
        yield "no_order_answer"
