"""Nothing about an order without proof, and no way to try proofs without end."""

from datetime import UTC, timedelta

import jwt
import pytest

import shop
from shop import DEMO_EMAIL, DEMO_ORDER, DEMO_POSTCODE, BadIdentityToken, Verdict
from shop.identity import TRIES, TRIES_PER_ORDER, WINDOW, Outcome
from store import Database, utc_now

NOW = utc_now()


def attempt(database: Database, number: str, proof: str, subject: str = "chat:1", hours: float = 0) -> Outcome:
    with database.begin() as session:
        return shop.prove(session, subject, number, proof, now=NOW + timedelta(hours=hours))


@pytest.mark.parametrize("number", [DEMO_ORDER, "104233", "cmd 2026 104233", "n° 104 233"])
@pytest.mark.parametrize("proof", [DEMO_EMAIL, " Camille.Martin@Example.org ", DEMO_POSTCODE, "69 003"])
def test_number_and_email_or_postcode_prove(demo_shop: Database, number: str, proof: str) -> None:
    outcome = attempt(demo_shop, number, proof)
    assert outcome.verdict == Verdict.PROVEN
    with demo_shop.read() as session:
        assert outcome.order_id is not None
        assert shop.view_order(session, outcome.order_id, UTC).number == DEMO_ORDER


def test_unknown_number_and_wrong_email_are_one_answer(demo_shop: Database) -> None:
    unknown = attempt(demo_shop, "CMD-2026-999999", DEMO_EMAIL, "chat:1")
    wrong = attempt(demo_shop, DEMO_ORDER, "someone@example.org", "chat:2")
    assert unknown == wrong
    assert unknown.verdict == Verdict.REFUSED


@pytest.mark.parametrize("proof", ["", " ", "-", "nobody@invalid", "%"])
def test_an_empty_or_odd_proof_proves_nothing(demo_shop: Database, proof: str) -> None:
    assert attempt(demo_shop, DEMO_ORDER, proof).order_id is None
    assert attempt(demo_shop, "CMD-2026-999999", proof).order_id is None


def test_the_wrong_year_is_the_wrong_order(demo_shop: Database) -> None:
    assert attempt(demo_shop, "CMD-2025-104233", DEMO_EMAIL).verdict == Verdict.REFUSED


def test_after_five_wrong_tries_even_the_right_proof_must_wait(demo_shop: Database) -> None:
    verdicts = [attempt(demo_shop, DEMO_ORDER, f"{n}@example.org").verdict for n in range(TRIES)]
    assert verdicts == [Verdict.REFUSED] * (TRIES - 1) + [Verdict.THROTTLED]
    assert attempt(demo_shop, DEMO_ORDER, DEMO_EMAIL).verdict == Verdict.THROTTLED
    later = WINDOW / timedelta(hours=1) + 0.1
    assert attempt(demo_shop, DEMO_ORDER, DEMO_EMAIL, hours=later).verdict == Verdict.PROVEN


def test_many_conversations_cannot_share_the_guessing(demo_shop: Database) -> None:
    for guess in range(TRIES_PER_ORDER):
        attempt(demo_shop, DEMO_ORDER, f"{10000 + guess}", subject=f"chat:{guess}")
    assert attempt(demo_shop, DEMO_ORDER, DEMO_POSTCODE, subject="chat:next").verdict == Verdict.REFUSED


def test_a_proof_belongs_to_the_conversation_that_gave_it(demo_shop: Database) -> None:
    attempt(demo_shop, DEMO_ORDER, DEMO_EMAIL, "chat:1")
    with demo_shop.read() as session:
        assert shop.proven_order(session, "chat:1", "104233") is not None
        assert shop.proven_order(session, "chat:2", "104233") is None


def test_a_token_signed_by_the_shop_names_the_customer(demo_shop: Database) -> None:
    key = "k" * 40
    claims = {"email": DEMO_EMAIL, "exp": utc_now() + timedelta(minutes=5)}
    with demo_shop.read() as session:
        customer = shop.customer_from_token(session, jwt.encode(claims, key, "HS256"), key)
        assert shop.proven_order(session, "chat:9", DEMO_ORDER, customer_id=customer.id) is not None
        assert shop.proven_order(session, "chat:9", "104001", customer_id=customer.id) is None


@pytest.mark.parametrize(
    ("claims", "key", "algorithm"),
    [
        ({"email": DEMO_EMAIL, "exp": utc_now() + timedelta(minutes=5)}, "x" * 40, "HS256"),
        ({"email": DEMO_EMAIL, "exp": utc_now() - timedelta(minutes=5)}, "k" * 40, "HS256"),
        ({"email": DEMO_EMAIL}, "k" * 40, "HS256"),
        ({"email": "stranger@example.org", "exp": utc_now() + timedelta(minutes=5)}, "k" * 40, "HS256"),
        ({"email": DEMO_EMAIL, "exp": utc_now() + timedelta(minutes=5)}, None, "none"),
    ],
    ids=["forged", "expired", "endless", "stranger", "unsigned"],
)
def test_a_bad_token_is_refused(
    demo_shop: Database, claims: dict[str, object], key: str | None, algorithm: str
) -> None:
    token = jwt.encode(claims, key, algorithm)
    with demo_shop.read() as session, pytest.raises(BadIdentityToken):
        shop.customer_from_token(session, token, "k" * 40)
