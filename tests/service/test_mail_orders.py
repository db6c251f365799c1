"""Which orders the draft for a mail speaks of: from raw bytes to what the agent sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from desk import READ_MAIL, Conversation, InboundMail
from service import mail_in, worker
from service.mail_reading import redraft
from service.wiring import House
from shop import DEMO_EMAIL, DEMO_ORDER, Customer, Order, OrderState, Parcel, ParcelState
from shop.tables import ProofAttempt
from store import utc_now
from tests.service.test_automatic_replies import letter, put_under_way, take, verified, with_policy

FACTS, WHICH = "Colissimo", "le numéro de la commande dont il s'agit"
ASKS = ("pouvez-vous me confirmer l'adresse e-mail", "Pouvez-vous m'indiquer votre numéro de commande")
EVE = "eve@evil.example"


@pytest.fixture
def shop_mail(house: House) -> House:
    return with_policy(house)


def drafted(house: House, raw: bytes) -> str:
    mail = take(house, raw)
    assert mail.draft is not None
    return str(mail.draft["text"])


def demo(house: House) -> tuple[Order, Customer]:
    with house.database.read() as session:
        order = session.scalars(select(Order).where(Order.number == DEMO_ORDER)).one()
        return order, session.get_one(Customer, order.customer_id)


def asks(text: str) -> bool:
    return any(each in text for each in ASKS)


@pytest.mark.parametrize("proof", ["email", "postcode"])
def test_a_proof_in_the_mail_opens_the_order_as_in_the_chat(shop_mail: House, proof: str) -> None:
    given = {"email": DEMO_EMAIL, "postcode": demo(shop_mail)[0].postcode}[proof]
    text = drafted(
        shop_mail,
        letter(
            f"Où en est ma commande {DEMO_ORDER} ? Mon code postal ou mail : {given}", sender="camille@work.example"
        ),
    )
    assert FACTS in text
    assert not asks(text)


def test_a_wrong_proof_opens_nothing_and_tells_nothing(shop_mail: House) -> None:
    text = drafted(
        shop_mail, letter(f"Où en est ma commande {DEMO_ORDER} ? Mon adresse : {EVE}, 75001 Paris", sender=EVE)
    )
    unknown = drafted(
        shop_mail, letter(f"Où en est ma commande CMD-2026-999999 ? Mon adresse : {EVE}, 75001 Paris", sender=EVE)
    )
    assert FACTS not in text
    assert "vos coordonnées" in text
    assert text == unknown.replace("CMD-2026-999999", DEMO_ORDER)


def test_guessing_by_mail_is_limited(shop_mail: House) -> None:
    order, _ = demo(shop_mail)
    for index in range(3):
        drafted(shop_mail, letter(f"Commande {DEMO_ORDER}, {10000 + index} Ici ou {20000 + index} Là", sender=EVE))
    with shop_mail.database.read() as session:
        tries = len(session.scalars(select(ProofAttempt).where(ProofAttempt.subject == f"mail:{EVE}")).all())
    assert tries <= 5
    text = drafted(shop_mail, letter(f"Commande {DEMO_ORDER}, code postal {order.postcode} enfin", sender=EVE))
    assert FACTS not in text


@pytest.mark.parametrize(
    "headers", [{"Reply_To": EVE}, {"stamp": "dmarc=fail header.from=example.org"}], ids=["reply-to", "forged"]
)
def test_whoever_is_answered_elsewhere_hears_of_no_order(shop_mail: House, headers: dict[str, str]) -> None:
    order, _ = demo(shop_mail)
    body = f"Où en est ma commande {DEMO_ORDER} ? {DEMO_EMAIL}, {order.postcode} Lyon"
    assert FACTS not in drafted(shop_mail, letter(body, **headers))


def test_a_known_sender_without_a_number_is_asked_for_the_number_only(shop_mail: House) -> None:
    with shop_mail.database.begin() as session:
        customer = session.scalars(select(Customer).where(Customer.email == DEMO_EMAIL)).one()
        another = session.scalars(select(Order).where(Order.customer_id != customer.id)).first()
        assert another is not None
        another.customer_id = customer.id
    text = drafted(shop_mail, verified(body="Bonjour, où en est ma commande ? Merci"))
    assert WHICH in text
    assert not asks(text)


def test_all_own_orders_that_are_named_are_spoken_of_and_no_other(shop_mail: House) -> None:
    with shop_mail.database.begin() as session:
        customer = session.scalars(select(Customer).where(Customer.email == DEMO_EMAIL)).one()
        second, third = session.scalars(select(Order).where(Order.customer_id != customer.id).limit(2)).all()
        second.customer_id = customer.id
        mine, other = second.number, third.number
    text = drafted(shop_mail, verified(body=f"Où en sont mes commandes {DEMO_ORDER}, {mine} et {other} ?"))
    assert f"Votre commande {DEMO_ORDER}" in text
    assert f"Votre commande {mine}" in text
    assert f"pour la commande {other} ?" in text


def test_what_was_said_earlier_in_the_case_is_not_asked_again(shop_mail: House) -> None:
    first = take(shop_mail, letter(f"Où en est ma commande {DEMO_ORDER} ?", sender="camille@work.example"))
    with shop_mail.database.read() as session:
        case = session.scalars(select(Conversation)).one().id
    order, _ = demo(shop_mail)
    again = letter(
        f"Voici : code postal {order.postcode}", f"Re: Suivi [#{case[:8].upper()}]", sender="camille@work.example"
    )
    second = take(shop_mail, again)
    assert second.conversation_id == first.conversation_id
    assert FACTS in (second.draft or {})["text"]


def test_a_draft_says_what_is_true_when_it_is_opened(shop_mail: House) -> None:
    put_under_way(shop_mail)
    mail = take(shop_mail, verified())
    assert "en cours d'acheminement, attendu le" in (mail.draft or {})["text"]
    with shop_mail.database.begin() as session:
        order = session.scalars(select(Order).where(Order.number == DEMO_ORDER)).one()
        order.state = OrderState.DELIVERED
        arrived = {"state": ParcelState.DELIVERED, "delivered_at": utc_now()}
        session.execute(update(Parcel).where(Parcel.order_id == order.id).values(**arrived))
    with shop_mail.database.read() as session:
        anew = redraft(shop_mail, session.get_one(InboundMail, mail.id))
    assert anew is not None
    assert "est livrée." in anew["text"]
    assert "attendu" not in anew["text"]
    assert "prévue" not in anew["text"]


def test_a_promise_that_has_passed_is_not_made_again(shop_mail: House) -> None:
    taken = mail_in.take_in(
        shop_mail.database, letter("Je veux parler à un conseiller humain.", "Un humain svp"), "test"
    )
    assert worker.run_one(shop_mail, [READ_MAIL])
    with shop_mail.database.begin() as session:
        mail = session.get_one(InboundMail, taken.mail_id)
        assert "au plus tard" in (mail.draft or {})["text"]
        mail.received_at = utc_now() - timedelta(days=20)
    with shop_mail.database.read() as session:
        anew = redraft(shop_mail, session.get_one(InboundMail, taken.mail_id))
    assert anew is not None
    assert "au plus tard" not in anew["text"]


def test_days_are_those_of_the_shop(shop_mail: House) -> None:
    with shop_mail.database.begin() as session:
        order = session.scalars(select(Order).where(Order.number == DEMO_ORDER)).one()
        order.placed_at = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)  # half past midnight in Paris
    assert f"{DEMO_ORDER} du 1er juillet 2026" in drafted(shop_mail, verified())
