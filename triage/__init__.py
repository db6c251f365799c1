"""Inbound e-mail: raw bytes in, decision out.

`read_mail` turns any bytes into a `Mail` and never raises; `judge` says whether a machine sent it and why no
automatic answer may go out; `verify_sender` whether its From line is true; `sort` reads motives, language, order
numbers and the wish for a human from `models/`, and the urgency; `decide` gives the one action; `draft_reply` and
`compose` write the answer; a `CaseSigner` marks it so that what comes back finds its case, and `read_delivery` says
what a bounce reports; `triage` does all of it for one mail. `sort_all` and `triage_all` do the same for several
together, in little more than half the time. `read_sources` finds raw mails in files. The room knows no database, no
clock and no network: what it needs to know is passed in.
"""

from triage.case import CaseMarks, CaseSigner, NamedCases, case_tag
from triage.decide import DRAFT_ALL, ORDER_MOTIVES, Action, Decision, Findings, Policy, Rule, decide
from triage.delivery import Delivery, Failure, read_delivery
from triage.headers import Address
from triage.machine import MachineVerdict, OurSide, Reason, Sent, judge
from triage.mime import LIMITS, Limits
from triage.newest import Newest, split_newest
from triage.parse import Attachment, LeftOut, Mail, read_attachments, read_mail
from triage.refused import EXECUTABLES
from triage.reply import Composed, Draft, OrderFacts, ReplyKind, compose, draft_reply, reply_subject, template_language
from triage.result import TriageResult, sorting_from, triage, triage_all
from triage.sort import MAILS_TOGETHER, MailUnderstanding, MotiveGuess, Sorting, sort, sort_all
from triage.sources import read_sources
from triage.urgency import Contact, Urgency, measure_urgency
from triage.verify import SenderCheck, verify_sender

__all__ = [
    "DRAFT_ALL",
    "EXECUTABLES",
    "LIMITS",
    "MAILS_TOGETHER",
    "ORDER_MOTIVES",
    "Action",
    "Address",
    "Attachment",
    "CaseMarks",
    "CaseSigner",
    "Composed",
    "Contact",
    "Decision",
    "Delivery",
    "Draft",
    "Failure",
    "Findings",
    "LeftOut",
    "Limits",
    "MachineVerdict",
    "Mail",
    "MailUnderstanding",
    "MotiveGuess",
    "NamedCases",
    "Newest",
    "OrderFacts",
    "OurSide",
    "Policy",
    "Reason",
    "ReplyKind",
    "Rule",
    "SenderCheck",
    "Sent",
    "Sorting",
    "TriageResult",
    "Urgency",
    "case_tag",
    "compose",
    "decide",
    "draft_reply",
    "judge",
    "measure_urgency",
    "read_attachments",
    "read_delivery",
    "read_mail",
    "read_sources",
    "reply_subject",
    "sort",
    "sort_all",
    "sorting_from",
    "split_newest",
    "template_language",
    "triage",
    "triage_all",
    "verify_sender",
]
