"""Inbound e-mail: raw bytes in, decision out.

`read_mail` turns any bytes into a `Mail` and never raises; `judge` says whether a machine sent it and why no automatic
answer may go out; `sort` reads motives, language, order numbers and the wish for a human from `models/`; `decide` gives
the one action; `draft_reply` and `compose` write the answer; `triage` does all of it for one mail. `read_sources` finds
raw mails in files. The room knows no database, no clock and no network: what it needs to know is passed in.
"""

from triage.decide import DRAFT_ALL, Action, Decision, Policy, decide
from triage.headers import Address
from triage.machine import MachineVerdict, OurSide, Reason, Sent, judge
from triage.newest import Newest, split_newest
from triage.parse import Attachment, Mail, read_mail
from triage.reply import Composed, Draft, compose, draft_reply, reply_subject, template_language
from triage.result import TriageResult, triage
from triage.sort import MailUnderstanding, MotiveGuess, Sorting, sort
from triage.sources import read_sources

__all__ = [
    "DRAFT_ALL",
    "Action",
    "Address",
    "Attachment",
    "Composed",
    "Decision",
    "Draft",
    "MachineVerdict",
    "Mail",
    "MailUnderstanding",
    "MotiveGuess",
    "Newest",
    "OurSide",
    "Policy",
    "Reason",
    "Sent",
    "Sorting",
    "TriageResult",
    "compose",
    "decide",
    "draft_reply",
    "judge",
    "read_mail",
    "read_sources",
    "reply_subject",
    "sort",
    "split_newest",
    "template_language",
    "triage",
]
