"""Which orders a mail may be told about: those of a verified sender, and those that its writer has proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import triage
from models import find_entities
from service.wiring import House
from shop import (
    OrderState,
    OrderView,
    ParcelState,
    Verdict,
    customer_by_email,
    find_order,
    orders_of,
    prove,
    proven_order,
    view_order,
)
from store import utc_now

MAX_ORDERS = 100
MAX_NAMED = 5
"""Orders of one mail that are looked up."""
MAX_CONTACTS = 3
"""E-mail addresses and postcodes of one mail that are tried as a proof."""
MAX_READ = 20_000
UNDER_WAY = (ParcelState.ANNOUNCED, ParcelState.IN_TRANSIT, ParcelState.OUT_FOR_DELIVERY)


@dataclass(frozen=True)
class MailOrders:
    """The orders that a mail is about.

    `own`: those of the verified sender, `customer_id`; `proved`: those that the writer has given e-mail or postcode of;
    `unproven`: numbers of which nothing may be said. `proof_given`: the mail holds something that may be a proof.
    """

    own: tuple[OrderView, ...] = ()
    proved: tuple[OrderView, ...] = ()
    unproven: tuple[str, ...] = ()
    proof_given: bool = False
    customer_id: int | None = None

    def facts(self, today: date) -> triage.OrderFacts:
        """What a reply may say; a date that has passed is no promise any more."""
        orders = [_without_broken_promises(order, today).to_dict() for order in (*self.own, *self.proved)]
        return triage.OrderFacts(tuple(orders), self.unproven, self.proof_given, self.customer_id is not None)


def orders_of_mail(
    house: House,
    read: triage.Mail,
    numbers: Sequence[str],
    standing: str,
    earlier: Sequence[Mapping[str, Any]],
    *,
    may_try: bool = True,
) -> MailOrders:
    """The orders that `read` is about: those whose `numbers` it gives, else those that its writer gave `earlier` in the case
    (as the mails were sorted), else the only one that a verified sender has.

    `standing` is that of the sender. Whoever is answered elsewhere, or has forged the From line, hears of none. What is
    offered as a proof is tried, as in the chat, unless it was tried before (`may_try` False); the tries of an address and of an
    order are limited.
    """
    said = next((tuple(each.get("order_numbers") or ()) for each in earlier if each.get("order_numbers")), ())
    wanted = tuple(dict.fromkeys(numbers or said))[:MAX_NAMED]
    contacts = _contacts(house, read, earlier)
    if standing == "failed" or (read.reply_to and read.reply_to != read.from_address):
        return MailOrders(unproven=wanted, proof_given=bool(contacts))
    zone, now = house.hours.zone, utc_now()
    with house.database.read() as session:
        customer = customer_by_email(session, read.from_address) if standing == "verified" else None
        everything = orders_of(session, customer.id, zone, limit=MAX_ORDERS) if customer else ()
        found = {number: order.id for number in wanted if (order := find_order(session, number)) is not None}
    known = {order.id: order for order in everything}
    mine = [known[found[number]] for number in wanted if found.get(number) in known]
    if not wanted and len(known) == 1:
        mine = list(known.values())
    unproven = [number for number in wanted if found.get(number) not in known]
    proved: list[OrderView] = []
    if contacts and unproven:
        subject = f"mail:{read.from_address}"[:120]
        with house.database.begin() as session:
            for number in list(unproven):
                order_id = proven_order(session, subject, number)
                if order_id is None and may_try:
                    tries = (prove(session, subject, number, each, now=now) for each in contacts)
                    order_id = next((each.order_id for each in tries if each.verdict == Verdict.PROVEN), None)
                if order_id is not None:
                    proved.append(view_order(session, order_id, zone))
                    unproven.remove(number)
    return MailOrders(
        tuple(dict.fromkeys(mine)),
        tuple(dict.fromkeys(proved)),
        tuple(unproven),
        bool(contacts),
        customer.id if customer else None,
    )


def says_all(order: OrderView, today: date) -> bool:
    """Whether an order's facts leave nothing to explain: it is under way, nothing is lost, and no date has passed."""
    open_parcels = [each for each in order.parcels if each.state != ParcelState.DELIVERED]
    dates = [order.promised_on, *(each.expected_on for each in open_parcels)]
    return (
        order.state in (OrderState.PAID, OrderState.PREPARING, OrderState.SHIPPED)
        and all(each.state != ParcelState.LOST for each in order.parcels)
        and (not order.parcels or bool(open_parcels))
        and all(each is None or each >= today for each in dates)
    )


def _contacts(house: House, read: triage.Mail, earlier: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """E-mail addresses and postcodes in a mail's own words, and in those of the mails before."""
    texts = [f"{read.subject}\n{read.text}\n{read.signature}"]
    texts += [f"{each.get('text') or ''}\n{each.get('signature') or ''}" for each in earlier]
    found = (entity for text in texts for entity in find_entities(text[:MAX_READ]))
    ours = house.settings.mail.our_addresses
    contacts = dict.fromkeys(each.value for each in found if each.kind in ("email", "postcode"))
    return tuple(each for each in contacts if each.lower() not in ours)[:MAX_CONTACTS]


def _without_broken_promises(order: OrderView, today: date) -> OrderView:
    waiting = [each for each in order.parcels if each.state in UNDER_WAY]
    parcels = tuple(
        replace(each, expected_on=None) if each.expected_on and each.expected_on < today else each
        for each in order.parcels
    )
    kept = order.promised_on is not None and order.promised_on >= today and (not order.parcels or bool(waiting))
    return replace(order, parcels=parcels, promised_on=order.promised_on if kept else None)
