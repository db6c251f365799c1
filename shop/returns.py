"""The return policy: what may be sent back, until when, and the return itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.orders import ReturnView
from shop.tables import ItemKind, Order, OrderLine, OrderState, ParcelState, Return


@dataclass(frozen=True)
class ReturnPolicy:
    """`days` from receipt to announce a return, `send_within` days to hand the parcel in afterwards."""

    days: int = 30
    send_within: int = 14


class Refusal(StrEnum):
    """Why an item cannot be returned."""

    NOT_DELIVERED = "not_delivered"
    TOO_LATE = "too_late"
    PERSONALISED = "personalised"
    DIGITAL = "digital"
    ALREADY_RETURNED = "already_returned"
    CANCELLED = "cancelled"
    NO_SUCH_ITEM = "no_such_item"


def refusal_of(session: Session, order_id: int, line_id: int, policy: ReturnPolicy, *, now: datetime) -> Refusal | None:
    """Why this line of this order cannot be returned now, or None when it can."""
    order = session.get_one(Order, order_id)
    line = session.get(OrderLine, line_id)
    if line is None or line.order_id != order.id:
        return Refusal.NO_SUCH_ITEM
    if _return_of(session, line_id) is not None:
        return Refusal.ALREADY_RETURNED
    if order.state in (OrderState.CANCELLED, OrderState.REFUNDED):
        return Refusal.CANCELLED
    if line.kind == ItemKind.EBOOK:
        return Refusal.DIGITAL
    if line.personalised:
        return Refusal.PERSONALISED
    received = _received_at(order)
    if received is None:
        return Refusal.NOT_DELIVERED
    return Refusal.TOO_LATE if now > received + timedelta(days=policy.days) else None


def create_return(
    session: Session, order_id: int, line_id: int, policy: ReturnPolicy, *, now: datetime, zone: tzinfo
) -> ReturnView | Refusal:
    """Create the return of a line, once: asked again, the same return is given back. A refusal changes nothing.

    Its days are those of the calendar of `zone`.
    """
    known = _return_of(session, line_id)
    if known is not None and known.order_id == order_id:
        return _view(session, known, zone)
    refusal = refusal_of(session, order_id, line_id, policy, now=now)
    if refusal is not None:
        return refusal
    line = session.get_one(OrderLine, line_id)
    row = Return(
        number=f"PENDING-{line_id}",
        order_id=order_id,
        line_id=line_id,
        created_at=now,
        send_before=(now.astimezone(zone) + timedelta(days=policy.send_within)).date(),
        refund_cents=line.unit_cents * line.quantity,
    )
    session.add(row)
    session.flush()
    row.number = f"RET-{now.year}-{row.id:06d}"
    session.flush()
    return _view(session, row, zone)


def _return_of(session: Session, line_id: int) -> Return | None:
    return session.scalar(select(Return).where(Return.line_id == line_id))


def _received_at(order: Order) -> datetime | None:
    """When the last parcel arrived; None while one is still under way."""
    if not order.parcels or any(parcel.state != ParcelState.DELIVERED for parcel in order.parcels):
        return None
    return max(parcel.delivered_at for parcel in order.parcels if parcel.delivered_at)


def _view(session: Session, row: Return, zone: tzinfo) -> ReturnView:
    title = session.get_one(OrderLine, row.line_id).title
    return ReturnView(
        row.number, title, row.state, row.created_at.astimezone(zone).date(), row.send_before, row.refund_cents
    )
