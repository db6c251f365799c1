"""The merchant's rows: customers, orders and their lines, parcels, returns, and the tries at proving who one is."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from store import Base, UtcDateTime, utc_now


class OrderState(StrEnum):
    PAID = "paid"
    PREPARING = "preparing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    REFUNDED = "refunded"


class ParcelState(StrEnum):
    ANNOUNCED = "announced"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    AT_PICKUP_POINT = "at_pickup_point"
    DELIVERED = "delivered"
    LOST = "lost"


class ReturnState(StrEnum):
    CREATED = "created"
    RECEIVED = "received"
    REFUNDED = "refunded"


class ItemKind(StrEnum):
    BOOK = "book"
    USED_BOOK = "used_book"
    EBOOK = "ebook"
    RECORD = "record"
    GAME = "game"
    STATIONERY = "stationery"
    DEVICE = "device"
    CLOTHING = "clothing"
    FURNITURE = "furniture"


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    language: Mapped[str] = mapped_column(String(5))
    phone: Mapped[str | None] = mapped_column(String(30))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

    orders: Mapped[list[Order]] = relationship(back_populates="customer", order_by="Order.placed_at.desc()")


class Order(Base):
    """`number` as the shop prints it; `digits`, its last six (or nine, for old orders), is what customers type."""

    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    digits: Mapped[str] = mapped_column(String(12), index=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    state: Mapped[str] = mapped_column(String(12))
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    promised_on: Mapped[date | None]
    delivery_method: Mapped[str] = mapped_column(String(20))
    street: Mapped[str] = mapped_column(String(200))
    postcode: Mapped[str] = mapped_column(String(12))
    city: Mapped[str] = mapped_column(String(100))
    country: Mapped[str] = mapped_column(String(2))
    total_cents: Mapped[int]

    customer: Mapped[Customer] = relationship(back_populates="orders")
    lines: Mapped[list[OrderLine]] = relationship(order_by="OrderLine.id")
    parcels: Mapped[list[Parcel]] = relationship(order_by="Parcel.id")
    returns: Mapped[list[Return]] = relationship(order_by="Return.id")


class OrderLine(Base):
    __tablename__ = "order_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    quantity: Mapped[int]
    unit_cents: Mapped[int]
    personalised: Mapped[bool] = mapped_column(default=False)


class Parcel(Base):
    __tablename__ = "parcel"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    carrier: Mapped[str] = mapped_column(String(40))
    tracking_number: Mapped[str] = mapped_column(String(40), index=True)
    state: Mapped[str] = mapped_column(String(20))
    shipped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expected_on: Mapped[date | None]
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Return(Base):
    """A return of one order line; a line can be returned once."""

    __tablename__ = "return"
    __table_args__ = (UniqueConstraint("line_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"))
    state: Mapped[str] = mapped_column(String(12), default=ReturnState.CREATED)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    send_before: Mapped[date]
    refund_cents: Mapped[int]


class ProofAttempt(Base):
    """One try at proving an identity; kept to limit the tries, by subject and by order."""

    __tablename__ = "proof_attempt"
    __table_args__ = (
        Index("ix_proof_attempt_subject_at", "subject", "at"),
        Index("ix_proof_attempt_digits_at", "digits", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    subject: Mapped[str] = mapped_column(String(120))
    digits: Mapped[str] = mapped_column(String(20))
    succeeded: Mapped[bool]


class Proof(Base):
    """What `subject` (a conversation) has proved: it may hear about this order."""

    __tablename__ = "proof"

    subject: Mapped[str] = mapped_column(String(120), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
