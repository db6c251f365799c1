"""The return policy, item by item, and the demo shop it is shown on."""

from collections import Counter
from datetime import UTC, timedelta

from sqlalchemy import func, select

import shop
from shop import DEMO_EMAIL, Customer, Order, OrderState, Refusal, ReturnPolicy
from store import Database, utc_now

NOW = utc_now()
POLICY = ReturnPolicy()


def lines_of(database: Database, number: str) -> tuple[int, dict[str, int]]:
    with database.begin() as session:
        outcome = shop.prove(session, "t", number, DEMO_EMAIL, now=NOW)
        assert outcome.order_id is not None
        return outcome.order_id, {
            item.title: item.line_id for item in shop.view_order(session, outcome.order_id, UTC).items
        }


def test_a_delivered_book_is_returned_once(demo_shop: Database) -> None:
    order, lines = lines_of(demo_shop, "104000")
    book = lines["Cuisiner les restes, Ana Soulier"]
    with demo_shop.begin() as session:
        first = shop.create_return(session, order, book, POLICY, now=NOW, zone=UTC)
    with demo_shop.begin() as session:
        again = shop.create_return(session, order, book, POLICY, now=NOW, zone=UTC)
        assert shop.refusal_of(session, order, book, POLICY, now=NOW) == Refusal.ALREADY_RETURNED
    assert isinstance(first, shop.ReturnView)
    assert first == again
    assert first.number.startswith(f"RET-{NOW.year}-")
    assert first.refund_cents == 2490
    assert first.send_before == (NOW + timedelta(days=14)).date()


def test_what_cannot_be_returned_is_refused_for_its_reason(demo_shop: Database) -> None:
    delivered, lines = lines_of(demo_shop, "104000")
    travelling, other_lines = lines_of(demo_shop, "104233")
    book = lines["Cuisiner les restes, Ana Soulier"]
    foreign = next(iter(other_lines.values()))
    with demo_shop.read() as session:

        def why(order: int, line: int, days: int = 0) -> Refusal | None:
            return shop.refusal_of(session, order, line, POLICY, now=NOW + timedelta(days=days))

        assert why(delivered, book) is None
        assert why(delivered, book, days=40) == Refusal.TOO_LATE
        assert why(delivered, lines["Manuel du potager (livre numérique)"]) == Refusal.DIGITAL
        assert why(travelling, foreign) == Refusal.NOT_DELIVERED
        assert why(delivered, foreign) == Refusal.NO_SUCH_ITEM


def test_a_refused_return_leaves_nothing_behind(demo_shop: Database) -> None:
    order, lines = lines_of(demo_shop, "104233")
    with demo_shop.begin() as session:
        assert (
            shop.create_return(session, order, next(iter(lines.values())), POLICY, now=NOW, zone=UTC)
            == Refusal.NOT_DELIVERED
        )
    with demo_shop.read() as session:
        assert shop.view_order(session, order, UTC).returns == ()


def test_the_demo_shop_has_enough_of_everything(demo_shop: Database) -> None:
    with demo_shop.begin() as session:
        assert (session.scalar(select(func.count()).select_from(Customer)) or 0) >= 200
        states = Counter(session.scalars(select(Order.state)))
        assert sum(states.values()) >= 400
        assert set(states) == set(OrderState)
        assert not shop.seed(session, now=NOW), "a second seeding must change nothing"
