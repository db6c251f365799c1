"""The mail policy in `comptoir.toml`: what may be done with a mail of each motive, and how much may go out without an agent."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from triage import Policy, Rule

MOTIVES_FILE = Path(__file__).resolve().parent.parent / "triage" / "motives.csv"


@cache
def known_motives() -> tuple[str, ...]:
    """The motives of the taxonomy, as `triage/motives.csv` lists them."""
    with MOTIVES_FILE.open(encoding="utf-8", newline="") as file:
        return tuple(row["motive"] for row in csv.DictReader(file))


class MotiveRule(BaseModel):
    """What may be done with a mail of one motive; written as a table, or as its action alone (`refund = "queue"`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Literal["answer", "draft", "queue"] = "draft"
    error_rate: float = Field(default=0.01, gt=0, le=0.2)
    """The share of wrongly sorted mails that answering by itself may cost."""
    hours: Literal["always", "open", "closed"] = "always"
    """When an automatic answer may go out: always, or only while the desk is open or closed."""
    team: str = Field(default="", max_length=80)
    """Who gets what is not answered, shown with the mail."""


class MailPolicy(BaseModel):
    """The defaults answer nothing: every mail waits for an agent, with a draft."""

    model_config = ConfigDict(extra="forbid")

    default: MotiveRule = MotiveRule()
    motives: dict[str, MotiveRule] = {}
    acknowledge: bool = False
    """Whoever gets no automatic answer is told at once that the mail has come, and by when an agent answers."""
    answer_within_hours: float = Field(default=8.0, gt=0, le=400)
    """Opening hours in which an agent answers a mail: what is promised to whoever asks for a human."""
    per_sender_and_day: int = Field(default=3, ge=1, le=50)
    """Automatic mails to one address in 24 hours at most."""
    per_hour: int = Field(default=200, ge=1)
    """The circuit breaker: automatic mails to everybody in an hour at most."""

    @field_validator("default", mode="before")
    @classmethod
    def _short_default(cls, value: Any) -> Any:
        return _rule(value)

    @field_validator("motives", mode="before")
    @classmethod
    def _short_rules(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        unknown = sorted(set(map(str, value)) - set(known_motives()))
        if unknown:
            raise ValueError(f'"{unknown[0]}" is no motive; write one of {", ".join(known_motives())}')
        return {name: _rule(each) for name, each in value.items()}


def as_triage_policy(policy: MailPolicy) -> Policy:
    """The same policy as `triage.decide` takes it."""

    def rule(each: MotiveRule) -> Rule:
        return Rule(each.action, each.error_rate, each.hours, each.team)

    by_motive = {name: rule(each) for name, each in policy.motives.items()}
    return Policy(by_motive, rule(policy.default), policy.acknowledge)


def _rule(value: Any) -> Any:
    return {"action": value} if isinstance(value, str) else value
