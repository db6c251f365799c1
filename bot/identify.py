"""Who is asking, and about which order: the steps that the tracking form and the return form share.

Slots hold what the shopper said and whether it was proved, never order data: whoever shows or changes an order asks the
shop again (`proven_view`), so that no slot can open one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

import shop
from bot.doors import World
from bot.replies import Reply, payload
from bot.turn import Turn
from shop import Proof

ORDER_NUMBER = "order_number"
ORDER_PROOF = "order_proof"
GIVEN_CONTACT = "given_contact"
PROOF_REFUSED = "proof_refused"
LAST_ORDER = "last_order"
PROVEN = "proven"
LATEST_ORDERS = 5

_POSTCODE_LIKE = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9 \-]{2,9}")
"""Any country's postcode as a whole message; five-digit and British ones are recognised as entities before."""


@dataclass(frozen=True)
class Parting:
    """The form is left, with these last words. `of_this_order`: for a reason that another order may not have."""

    words: dict[str, Any]
    of_this_order: bool = False


def identify(world: World, turn: Turn, slots: dict[str, Any]) -> Parting | None:
    """Take order number and proof from the turn into `slots`, and try the proof when there is something new to try."""
    starting = turn.opened_form is not None
    contact = turn.contact or _unusual_postcode(turn)
    known_customer = world.desk.customer_of(turn.conversation_id)
    slots[PROOF_REFUSED] = None
    if turn.order_number and turn.order_number != slots[ORDER_NUMBER]:
        slots[ORDER_NUMBER], slots[ORDER_PROOF] = turn.order_number, None
    # Nothing but digits where an order number was asked is a number with a slip, not a postcode.
    slip = turn.requested_slot == ORDER_NUMBER and not starting and turn.text.strip(" .").isdigit()
    if contact and not slip:
        slots[GIVEN_CONTACT] = contact
    with world.sessions() as session:
        signed_in = signed_in_customer(session, turn.subject, known_customer)
        if starting and slots[ORDER_NUMBER] is None:
            slots[ORDER_NUMBER] = _only_order(world, session, signed_in)
        if slots[ORDER_PROOF] == PROVEN:
            return None
        number = slots[ORDER_NUMBER]
        proven = number is not None and shop.proven_order(session, turn.subject, number, customer_id=signed_in)
        if proven:
            _note_proof(slots)
            return None
        may_try = shop.may_try(session, turn.subject, now=world.clock())
        if not may_try and (number is not None or signed_in is None):
            return Parting(payload(Reply.THROTTLED, offers_human=True))
        if number is None or slots[GIVEN_CONTACT] is None or not (turn.order_number or contact or starting):
            return None
        outcome = shop.prove(session, turn.subject, number, slots[GIVEN_CONTACT], now=world.clock())
    if outcome.verdict == shop.Verdict.THROTTLED:
        return Parting(payload(Reply.THROTTLED, offers_human=True))
    if outcome.verdict == shop.Verdict.REFUSED:
        slots[PROOF_REFUSED] = True
        return None
    if known_customer is None and outcome.customer_id is not None:
        world.desk.identified(turn.conversation_id, outcome.customer_id)
    _note_proof(slots)
    return None


def proven_view(world: World, turn: Turn) -> shop.OrderView | None:
    """The order that the slots name, if this conversation may hear about it now."""
    number = turn.slots.get(ORDER_NUMBER)
    if number is None:
        return None
    known_customer = world.desk.customer_of(turn.conversation_id)
    with world.sessions() as session:
        signed_in = signed_in_customer(session, turn.subject, known_customer)
        order_id = shop.proven_order(session, turn.subject, number, customer_id=signed_in)
        return shop.view_order(session, order_id, world.zone) if order_id is not None else None


def latest_orders(world: World, turn: Turn) -> tuple[shop.OrderView, ...]:
    """A signed-in customer's newest orders; none for anybody else."""
    known_customer = world.desk.customer_of(turn.conversation_id)
    with world.sessions() as session:
        signed_in = signed_in_customer(session, turn.subject, known_customer)
        return shop.orders_of(session, signed_in, world.zone, limit=LATEST_ORDERS) if signed_in is not None else ()


def signed_in_customer(session: Session, subject: str, customer_id: int | None) -> int | None:
    """`customer_id` if it comes from a signed token; None if `subject` is known only by what it has proved here.

    Proving one order links the conversation to its customer for the agents' sake. That must not open the customer's other
    orders to somebody who holds a single parcel's label.
    """
    if customer_id is None:
        return None
    proved_here = (
        select(Proof.order_id)
        .join(shop.Order, shop.Order.id == Proof.order_id)
        .where(Proof.subject == subject, shop.Order.customer_id == customer_id)
    )
    return customer_id if session.scalar(proved_here.limit(1)) is None else None


def _note_proof(slots: dict[str, Any]) -> None:
    slots[ORDER_PROOF], slots[GIVEN_CONTACT] = PROVEN, None


def _only_order(world: World, session: Session, signed_in: int | None) -> str | None:
    orders = shop.orders_of(session, signed_in, world.zone, limit=2) if signed_in is not None else ()
    return orders[0].number if len(orders) == 1 else None


def _unusual_postcode(turn: Turn) -> str | None:
    if turn.requested_slot != ORDER_PROOF or turn.order_number or turn.opened_form is not None:
        return None
    text = turn.text.strip(" .!\n")
    return text if _POSTCODE_LIKE.fullmatch(text) else None
