"""What goes out without an agent: the facts or the FAQ's answer, or when somebody will answer; marked as automatic."""

from __future__ import annotations

import email
import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.triage.reader import Reader, Reading, mail
from triage import OrderFacts, compose, draft_reply, judge, read_mail, sort

LANGUAGES = ("fr", "en", "de", "es", "it")
BY = datetime(2026, 11, 30, 9, 0, tzinfo=ZoneInfo("Europe/Paris"))
ORDER = {
    "number": "CMD-2026-104233",
    "state": "shipped",
    "placed_on": "2026-11-20",
    "promised_on": "2026-11-28",
    "parcels": [
        {
            "carrier": "Colissimo",
            "tracking_number": "6A123",
            "state": "in_transit",
            "delivered_on": None,
            "expected_on": None,
        }
    ],
    "returns": [],
}
DATED = {
    "fr": "lundi 30 novembre à 09:00",
    "en": "Monday 30 November at 09:00",
    "de": "Montag, den 30. November, um 09:00 Uhr",
    "es": "lunes, 30 de noviembre, a las 09:00",
    "it": "lunedì 30 novembre alle 09:00",
}


def written(language: str, **values: object) -> str:
    read = read_mail(mail())
    reading = Reading(language=language, wants_human=bool(values.pop("wants_human", False)))
    return draft_reply(read, sort(read, Reader(reading)), shop_name="Tournesol", **values).text  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_automatic_answer_gives_facts_and_promises_nothing_else(language: str) -> None:
    text = written(language, kind="automatic", orders=OrderFacts((ORDER,)))
    assert "6A123" in text
    assert re.search("automat|automát", text, re.I)
    assert text.count("CMD-2026-104233") == 1
    assert "\n\n\n" not in text


def test_an_automatic_answer_quotes_the_faq_and_asks_for_no_proof() -> None:
    text = written("fr", kind="automatic", faq_answer="La livraison est **gratuite** dès 35 €.")
    assert "La livraison est gratuite dès 35 €." in text
    assert "numéro de commande" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_whoever_asks_for_a_human_is_told_by_when(language: str) -> None:
    for kind in ("mail", "acknowledgement"):
        assert DATED[language] in written(language, kind=kind, wants_human=True, promised=BY)
    assert DATED[language] in written(language, kind="acknowledgement", promised=BY)
    assert "None" not in written(language, kind="acknowledgement", wants_human=True)


def test_the_first_of_a_month_is_written_as_the_french_write_it() -> None:
    first = datetime(2026, 12, 1, 17, 0, tzinfo=ZoneInfo("Europe/Paris"))
    assert "mardi 1er décembre à 17:00" in written("fr", kind="acknowledgement", promised=first)


def test_an_acknowledgement_holds_no_order_data() -> None:
    assert "104233" not in written("fr", kind="acknowledgement", orders=OrderFacts((ORDER,)), promised=BY)


def test_our_automatic_mail_is_marked_so_that_no_machine_answers_it() -> None:
    sent = compose(
        sender="contact@shop.example",
        sender_name="Shop",
        recipient="jean@client.example",
        subject="Re: x",
        text="x",
        language="fr",
        now=BY,
        automatic=True,
    )
    headers = email.message_from_bytes(sent.raw)
    assert headers["Auto-Submitted"] == "auto-replied"
    assert headers["X-Auto-Response-Suppress"] == "All"
    assert headers["X-Loop"] == "contact@shop.example"
    assert {"auto_submitted", "automatic_header"} <= set(judge(read_mail(sent.raw)).names)
