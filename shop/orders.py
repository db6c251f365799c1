"""What can be said about an order, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, tzinfo
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.tables import Customer, Order


@dataclass(frozen=True)
class ItemView:
    """One line of an order; money in euro cents."""

    line_id: int
    title: str
    kind: str
    quantity: int
    unit_cents: int


@dataclass(frozen=True)
class ParcelView:
    carrier: str
    tracking_number: str
    state: str
    shipped_on: date | None
    expected_on: date | None
    delivered_on: date | None


@dataclass(frozen=True)
class ReturnView:
    number: str
    title: str
    state: str
    created_on: date
    send_before: date
    refund_cents: int


@dataclass(frozen=True)
class OrderView:
    """An order with its items, parcels and returns; money in euro cents, dates in the shop's calendar."""

    id: int
    number: str
    state: str
    placed_on: date
    promised_on: date | None
    delivery_method: str
    city: str
    total_cents: int
    items: tuple[ItemView, ...]
    parcels: tuple[ParcelView, ...]
    returns: tuple[ReturnView, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; dates as ISO 8601."""
        plain: dict[str, Any] = _jsonable(asdict(self))
        return plain


@dataclass(frozen=True)
class CustomerView:
    id: int
    name: str
    email: str
    phone: str | None
    language: str


def view_order(session: Session, order_id: int, zone: tzinfo) -> OrderView:
    """The order as it is now, in the calendar of `zone`; raises sqlalchemy.exc.NoResultFound when it does not exist."""
    return _view(session.get_one(Order, order_id), zone)


def orders_of(session: Session, customer_id: int, zone: tzinfo, *, limit: int = 20) -> tuple[OrderView, ...]:
    """A customer's orders, newest first, in the calendar of `zone`."""
    rows = session.scalars(
        select(Order).where(Order.customer_id == customer_id).order_by(Order.placed_at.desc()).limit(limit)
    )
    return tuple(_view(order, zone) for order in rows)


def view_customer(session: Session, customer_id: int) -> CustomerView:
    row = session.get_one(Customer, customer_id)
    return CustomerView(row.id, row.name, row.email, row.phone, row.language)


def customer_by_email(session: Session, email: str) -> CustomerView | None:
    """The customer with this address, whatever its letter case."""
    found = session.scalar(select(Customer.id).where(Customer.email == email.strip().lower()))
    return view_customer(session, found) if found is not None else None


def _view(order: Order, zone: tzinfo) -> OrderView:
    titles = {line.id: line.title for line in order.lines}
    return OrderView(
        id=order.id,
        number=order.number,
        state=order.state,
        placed_on=order.placed_at.astimezone(zone).date(),
        promised_on=order.promised_on,
        delivery_method=order.delivery_method,
        city=order.city,
        total_cents=order.total_cents,
        items=tuple(ItemView(line.id, line.title, line.kind, line.quantity, line.unit_cents) for line in order.lines),
        parcels=tuple(
            ParcelView(
                parcel.carrier,
                parcel.tracking_number,
                parcel.state,
                parcel.shipped_at.astimezone(zone).date() if parcel.shipped_at else None,
                parcel.expected_on,
                parcel.delivered_at.astimezone(zone).date() if parcel.delivered_at else None,
            )
            for parcel in order.parcels
        ),
        returns=tuple(
            ReturnView(
                row.number,
                titles[row.line_id],
                row.state,
                row.created_at.astimezone(zone).date(),
                row.send_before,
                row.refund_cents,
            )
            for row in order.returns
        ),
    )


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
