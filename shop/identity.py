"""Proof of identity: nothing about an order is said before it.

A proof is an order number together with the order's e-mail or postcode, or a token signed by the shop for a customer who is
logged in there. "No such order" and "wrong e-mail" are one answer, take one path and count as one kind of failure.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import jwt
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.tables import Customer, Order, Proof, ProofAttempt

TRIES = 5
"""Wrong tries of one subject within `WINDOW` before it must wait or speak to a human."""
TRIES_PER_ORDER = 15
"""Wrong tries at one order by everybody within `WINDOW`; beyond it the order is proved by nobody."""
WINDOW = timedelta(hours=1)


class Verdict(StrEnum):
    PROVEN = "proven"
    REFUSED = "refused"
    THROTTLED = "throttled"


@dataclass(frozen=True)
class Outcome:
    """What came of a try. `order_id` and `customer_id` are there only when proven; `tries_left` counts down to throttling."""

    verdict: Verdict
    order_id: int | None = None
    customer_id: int | None = None
    tries_left: int = 0


class BadIdentityToken(ValueError):
    """The token was not signed by the shop, has expired, or names no customer."""


def order_digits(number: str) -> str:
    """The part of an order number that identifies it: six digits of `CMD-2026-104233`, all nine of `104 871 265`."""
    digits = re.sub(r"\D", "", number)
    return digits[-6:] if len(digits) in (6, 10) else digits


def find_order(session: Session, number: str) -> Order | None:
    """The one order that `number` names in whatever spelling; None when there is none or the year contradicts it."""
    found = session.scalars(select(Order).where(Order.digits == order_digits(number))).all()
    year = re.search(r"\b(20\d\d)\D*\d{6}\b", number)
    matching = [order for order in found if year is None or f"-{year.group(1)}-" in order.number]
    return matching[0] if len(matching) == 1 else None


def prove(session: Session, subject: str, number: str, proof: str, *, now: datetime) -> Outcome:
    """Try to prove that `subject` may hear about order `number`; `proof` is the order's e-mail or postcode.

    Every try is recorded in the caller's transaction. `subject` names who tries: a conversation, or a network address.
    """
    since = now - WINDOW
    failures = _failures(session, ProofAttempt.subject == subject, since)
    if failures >= TRIES:
        return Outcome(Verdict.THROTTLED)
    digits = order_digits(number)
    exhausted = _failures(session, ProofAttempt.digits == digits, since) >= TRIES_PER_ORDER
    order = find_order(session, number)
    # Looked for in any case: an unknown order must not be the quicker answer.
    customer = session.get(Customer, order.customer_id if order else 0)
    expected_email = customer.email if customer else "nobody@invalid"
    expected_postcode = order.postcode if order else "-"
    matches = _same(proof, expected_email) | _same(proof, expected_postcode)
    succeeded = matches and order is not None and not exhausted
    session.add(ProofAttempt(subject=subject, digits=digits[:20], succeeded=succeeded, at=now))
    session.flush()
    if not succeeded or order is None:
        left = TRIES - failures - 1
        return Outcome(Verdict.REFUSED if left else Verdict.THROTTLED, tries_left=left)
    if session.get(Proof, (subject, order.id)) is None:
        session.add(Proof(subject=subject, order_id=order.id, at=now))
        session.flush()
    return Outcome(Verdict.PROVEN, order.id, order.customer_id, TRIES - failures)


def proven_order(session: Session, subject: str, number: str, *, customer_id: int | None = None) -> int | None:
    """The id of order `number` if `subject` has proved it before, or is known by a signed token to be `customer_id`, its owner."""
    order = find_order(session, number)
    if order is None:
        return None
    if customer_id is not None and order.customer_id == customer_id:
        return order.id
    return order.id if session.get(Proof, (subject, order.id)) else None


def may_try(session: Session, subject: str, *, now: datetime) -> bool:
    """Whether `subject` has tries left."""
    return _failures(session, ProofAttempt.subject == subject, now - WINDOW) < TRIES


def customer_from_token(session: Session, token: str, key: str) -> Customer:
    """The customer whom the shop's signed token (JWT, HS256, claims `email` and `exp`) names; raises BadIdentityToken."""
    try:
        claims = jwt.decode(token, key, algorithms=["HS256"], options={"require": ["exp", "email"]})
    except jwt.InvalidTokenError as error:
        raise BadIdentityToken(
            f"identity token refused: {error}; sign a fresh one with the shop's identity key"
        ) from error
    customer = session.scalar(select(Customer).where(Customer.email == str(claims["email"]).lower()))
    if customer is None:
        raise BadIdentityToken("identity token refused: it names no customer of this shop")
    return customer


def _failures(session: Session, condition: object, since: datetime) -> int:
    counted = select(func.count()).select_from(ProofAttempt)
    return session.scalar(counted.where(condition, ~ProofAttempt.succeeded, ProofAttempt.at > since)) or 0  # type: ignore[arg-type]


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(_plain(given).encode(), _plain(expected).encode())


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).casefold()
