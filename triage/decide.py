"""What happens with a mail: answered, drafted, queued for a human who was asked for, or kept and put before nobody.

A `Policy` is data: what may be done per motive. The rules below only ever make an action more careful than the policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from triage.machine import MachineVerdict, OurSide, Sent, judge
from triage.parse import Mail
from triage.sort import Sorting

Action = Literal["answer", "draft", "queue", "ignore"]
Allowed = Literal["answer", "draft", "queue"]


@dataclass(frozen=True)
class Policy:
    """What may be done with a mail of a motive; `otherwise` holds for the motives that `by_motive` does not name."""

    by_motive: Mapping[str, Allowed] = field(default_factory=lambda: MappingProxyType({}))
    otherwise: Allowed = "draft"

    def allows(self, motive: str) -> Allowed:
        return self.by_motive.get(motive, self.otherwise)


DRAFT_ALL = Policy()


@dataclass(frozen=True)
class Decision:
    """`reasons` are stable keys: why this action and none more automatic. `verdict` is what the machine rules said."""

    action: Action
    reasons: tuple[str, ...]
    verdict: MachineVerdict


def decide(
    mail: Mail,
    sorting: Sorting,
    *,
    ours: OurSide | None = None,
    sent: Sent | None = None,
    policy: Policy = DRAFT_ALL,
) -> Decision:
    """The one action for a mail.

    Machine mail is ignored. Whoever asks for a human gets one. A mail with several motives is treated as the most careful
    of them. An automatic answer needs a policy that allows it, a confident reading, and no reason to withhold.
    """
    verdict = judge(mail, ours, sent)
    allowed = {policy.allows(guess.motive) for guess in sorting.motives}
    if verdict.is_machine:
        return Decision("ignore", verdict.names, verdict)
    if sorting.wants_human:
        return Decision("queue", ("wants_human", *verdict.names), verdict)
    if "queue" in allowed:
        return Decision("queue", ("policy", *verdict.names), verdict)
    if "draft" in allowed:
        return Decision("draft", ("policy", *verdict.names), verdict)
    if not sorting.confident:
        return Decision("draft", ("not_confident", *verdict.names), verdict)
    if not verdict.may_be_answered:
        return Decision("draft", verdict.names, verdict)
    return Decision("answer", ("policy",), verdict)
