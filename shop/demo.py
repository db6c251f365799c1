"""The demo shop's data: customers and orders in every state, the same on every machine, with dates around today."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shop.returns import ReturnPolicy, create_return
from shop.tables import Customer, ItemKind, Order, OrderLine, OrderState, Parcel, ParcelState, ReturnState

if TYPE_CHECKING:
    from faker import Faker

CUSTOMERS = 220
ORDERS = 440
FIRST_NUMBER = 104001
DEMO_ORDER = "CMD-2026-104233"
DEMO_EMAIL = "camille.martin@example.org"
DEMO_POSTCODE = "69003"

_CATALOGUE: tuple[tuple[str, ItemKind, int], ...] = (
    ("Les heures claires, Maud Servain", ItemKind.BOOK, 2190),
    ("Le jardin sous la neige, Paul Etchart", ItemKind.BOOK, 1990),
    ("Une saison à Ouessant, Lise Kerdoncuff", ItemKind.BOOK, 1850),
    ("L'atelier des vents, tome 1, Noé Marsan", ItemKind.BOOK, 790),
    ("L'atelier des vents, tome 2, Noé Marsan", ItemKind.BOOK, 790),
    ("Cuisiner les restes, Ana Soulier", ItemKind.BOOK, 2490),
    ("Petite histoire des ponts, Karim Belhadj", ItemKind.BOOK, 1690),
    ("Atlas des rivières perdues", ItemKind.BOOK, 3900),
    ("Grammaire portative du français", ItemKind.BOOK, 1450),
    ("Le chat qui comptait les étoiles (album)", ItemKind.BOOK, 1390),
    ("La route du sel, édition de poche, occasion", ItemKind.USED_BOOK, 420),
    ("Dictionnaire des oiseaux, occasion", ItemKind.USED_BOOK, 1250),
    ("Les heures claires (livre numérique)", ItemKind.EBOOK, 1499),
    ("Manuel du potager (livre numérique)", ItemKind.EBOOK, 999),
    ("Nuits de Bamako, vinyle 33 tours", ItemKind.RECORD, 2600),
    ("Quatuors du soir, coffret 3 CD", ItemKind.RECORD, 3200),
    ("Le port des brumes, jeu de société", ItemKind.GAME, 3490),
    ("Puzzle 1000 pièces, La bibliothèque", ItemKind.GAME, 1890),
    ("Carnet à spirale A5, pointillé", ItemKind.STATIONERY, 890),
    ("Stylo plume, corps bleu", ItemKind.STATIONERY, 2750),
    ("Liseuse Lumen 7 pouces", ItemKind.DEVICE, 14900),
    ("Platine vinyle Arpège", ItemKind.DEVICE, 18900),
    ("T-shirt Je lis donc je suis, taille M", ItemKind.CLOTHING, 2200),
    ("Tote bag Tournesol", ItemKind.CLOTHING, 1490),
    ("Bibliothèque cinq niveaux, chêne", ItemKind.FURNITURE, 22900),
    ("Fauteuil de lecture Margaux", ItemKind.FURNITURE, 34900),
)

_CARRIERS = {
    "standard": ("Colissimo", "6A"),
    "pickup": ("Mondial Relay", "MR"),
    "express": ("Chronopost", "XY"),
    "appointment": ("Geodis", "GD"),
}


@dataclass(frozen=True)
class _Stage:
    """How far an order has come: its state, its parcels' state, how many days ago it was placed."""

    state: OrderState
    parcel: ParcelState | None
    days_ago: tuple[int, int]
    weight: int
    returned: ReturnState | None = None


_STAGES = (
    _Stage(OrderState.PAID, None, (0, 1), 7),
    _Stage(OrderState.PREPARING, None, (0, 2), 9),
    _Stage(OrderState.SHIPPED, ParcelState.ANNOUNCED, (1, 2), 4),
    _Stage(OrderState.SHIPPED, ParcelState.IN_TRANSIT, (2, 4), 14),
    _Stage(OrderState.SHIPPED, ParcelState.OUT_FOR_DELIVERY, (3, 5), 6),
    _Stage(OrderState.SHIPPED, ParcelState.AT_PICKUP_POINT, (4, 9), 6),
    _Stage(OrderState.SHIPPED, ParcelState.LOST, (14, 24), 3),
    _Stage(OrderState.DELIVERED, ParcelState.DELIVERED, (6, 28), 26),
    _Stage(OrderState.DELIVERED, ParcelState.DELIVERED, (50, 200), 12),
    _Stage(OrderState.CANCELLED, None, (3, 60), 5),
    _Stage(OrderState.DELIVERED, ParcelState.DELIVERED, (8, 26), 4, ReturnState.CREATED),
    _Stage(OrderState.RETURNED, ParcelState.DELIVERED, (14, 28), 2, ReturnState.RECEIVED),
    _Stage(OrderState.REFUNDED, ParcelState.DELIVERED, (20, 30), 2, ReturnState.REFUNDED),
)


def seed(session: Session, *, now: datetime, advance: Callable[[], None] = lambda: None) -> bool:
    """Fill an empty shop; False when it has customers already. `advance` is called once an order, for a progress display."""
    if session.scalar(select(func.count()).select_from(Customer)):
        return False
    dice = random.Random(20260104)
    from faker import Faker  # half a second that only this function needs

    fake = Faker(["fr_FR"])
    fake.seed_instance(20260104)
    customers = [_first_customer(now), *(_customer(fake, dice, index, now) for index in range(1, CUSTOMERS))]
    session.add_all(customers)
    session.flush()
    addresses = {customer.id: (fake.street_address(), fake.postcode(), fake.city()) for customer in customers}
    for index in range(ORDERS):
        number = FIRST_NUMBER + index
        if f"CMD-2026-{number}" == DEMO_ORDER:
            _demo_order(session, customers[0], number, now)
        else:
            customer = dice.choice(customers[1:])
            stage = dice.choices(_STAGES, weights=[stage.weight for stage in _STAGES])[0]
            _order(session, dice, customer, addresses[customer.id], number, stage, now)
        advance()
    session.flush()
    return True


def _first_customer(now: datetime) -> Customer:
    created = now - timedelta(days=700)
    return Customer(email=DEMO_EMAIL, name="Camille Martin", language="fr", phone="06 12 34 56 78", created_at=created)


def _customer(fake: Faker, dice: random.Random, index: int, now: datetime) -> Customer:
    first, last = fake.first_name(), fake.last_name()
    plain = str.maketrans("àâäéèêëîïôöùûüçÀÉÈÊÎÔÇ ", "aaaeeeeiioouuucAEEEIOC-")
    email = f"{first}.{last}{index}@example.org".translate(plain).lower()
    language = dice.choices(("fr", "en", "de", "es", "it"), weights=(70, 12, 6, 6, 6))[0]
    created = now - timedelta(days=dice.randint(210, 1500))
    return Customer(
        email=email, name=f"{first} {last}", language=language, phone=fake.phone_number(), created_at=created
    )


def _demo_order(session: Session, customer: Customer, number: int, now: datetime) -> None:
    """The order that the README invites to ask about: one parcel delivered and returnable, one under way."""
    placed = now - timedelta(days=6)
    lines = [
        OrderLine(title="Les heures claires, Maud Servain", kind=ItemKind.BOOK, quantity=1, unit_cents=2190),
        OrderLine(title="Carnet à spirale A5, pointillé", kind=ItemKind.STATIONERY, quantity=2, unit_cents=890),
    ]
    parcel = _parcel("standard", number, 0, ParcelState.DELIVERED, placed, now)
    late = _parcel("standard", number, 1, ParcelState.IN_TRANSIT, placed, now)
    session.add(
        Order(
            number=DEMO_ORDER,
            digits=str(number),
            customer_id=customer.id,
            state=OrderState.SHIPPED,
            placed_at=placed,
            promised_on=_working_day(now.date() + timedelta(days=1)),
            delivery_method="standard",
            street="18 rue Garibaldi",
            postcode=DEMO_POSTCODE,
            city="Lyon",
            country="FR",
            total_cents=3970,
            lines=lines,
            parcels=[parcel, late],
        )
    )
    delivered = placed - timedelta(days=8)
    session.add(
        Order(
            number="CMD-2026-104000",
            digits="104000",
            customer_id=customer.id,
            state=OrderState.DELIVERED,
            placed_at=delivered,
            promised_on=_working_day(delivered.date() + timedelta(days=4)),
            delivery_method="pickup",
            street="18 rue Garibaldi",
            postcode=DEMO_POSTCODE,
            city="Lyon",
            country="FR",
            total_cents=6189,
            lines=[
                OrderLine(title="Cuisiner les restes, Ana Soulier", kind=ItemKind.BOOK, quantity=1, unit_cents=2490),
                OrderLine(
                    title="T-shirt Je lis donc je suis, taille M", kind=ItemKind.CLOTHING, quantity=1, unit_cents=2200
                ),
                OrderLine(
                    title="Manuel du potager (livre numérique)", kind=ItemKind.EBOOK, quantity=1, unit_cents=1499
                ),
            ],
            parcels=[_parcel("pickup", 104000, 0, ParcelState.DELIVERED, delivered, now)],
        )
    )


def _order(
    session: Session,
    dice: random.Random,
    customer: Customer,
    address: tuple[str, str, str],
    number: int,
    stage: _Stage,
    now: datetime,
) -> None:
    placed = now - timedelta(days=dice.randint(*stage.days_ago), hours=dice.randint(0, 10), minutes=dice.randint(0, 59))
    chosen = dice.sample(_CATALOGUE, k=dice.choices((1, 2, 3, 4), weights=(45, 30, 15, 10))[0])
    lines = [
        OrderLine(
            title=title,
            kind=kind,
            quantity=dice.choices((1, 2), weights=(9, 1))[0],
            unit_cents=cents,
            personalised=kind == ItemKind.STATIONERY and dice.random() < 0.2,
        )
        for title, kind, cents in chosen
    ]
    if any(kind == ItemKind.FURNITURE for _, kind, _ in chosen):
        method = "appointment"
    elif stage.parcel == ParcelState.AT_PICKUP_POINT:
        method = "pickup"
    else:
        method = dice.choices(("standard", "pickup", "express"), weights=(5, 4, 1))[0]
    street, postcode, city = address
    old = stage.days_ago[1] > 100 and dice.random() < 0.3
    printed = f"{104_000_000 + number * 7}" if old else f"CMD-2026-{number}"
    order = Order(
        number=printed,
        digits=printed if old else str(number),
        customer_id=customer.id,
        state=stage.state,
        placed_at=placed,
        promised_on=None if stage.state == OrderState.CANCELLED else _working_day(placed.date() + timedelta(days=5)),
        delivery_method=method,
        street=street,
        postcode=postcode,
        city=city,
        country="FR",
        total_cents=sum(line.quantity * line.unit_cents for line in lines),
        lines=lines,
    )
    if stage.parcel is not None:
        count = 2 if len(lines) > 2 and dice.random() < 0.5 else 1
        order.parcels = [_parcel(method, number, index, stage.parcel, placed, now) for index in range(count)]
    session.add(order)
    session.flush()
    if stage.returned is not None:
        _seed_return(session, order, stage.returned, now)


def _seed_return(session: Session, order: Order, state: ReturnState, now: datetime) -> None:
    # The shop took the return while the order still counted as delivered.
    final, order.state = order.state, OrderState.DELIVERED
    for line in order.lines:
        created = create_return(
            session, order.id, line.id, ReturnPolicy(days=365), now=now - timedelta(days=1), zone=UTC
        )
        if not isinstance(created, str):
            break
    order.state = final
    session.flush()
    session.refresh(order)
    for row in order.returns:
        row.state = state


def _parcel(method: str, number: int, index: int, state: ParcelState, placed: datetime, now: datetime) -> Parcel:
    carrier, prefix = _CARRIERS[method]
    shipped = None if state == ParcelState.ANNOUNCED else min(placed + timedelta(days=1, hours=3), now)
    delivered = min(placed + timedelta(days=4, hours=2), now) if state == ParcelState.DELIVERED else None
    return Parcel(
        carrier=carrier,
        tracking_number=f"{prefix}{number * 7919 + index:011d}",
        state=state,
        shipped_at=shipped,
        expected_on=_working_day(
            (placed if state == ParcelState.LOST else max(placed, now - timedelta(days=3))).date() + timedelta(days=4)
        ),
        delivered_at=delivered,
    )


def _working_day(day: date) -> date:
    """`day`, or the Monday after when it falls on a weekend."""
    return day + timedelta(days=(7 - day.weekday()) if day.weekday() >= 5 else 0)
