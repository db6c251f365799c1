"""What Rasa is told about a message."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bot import nlu_response
from tests.bot.world import Entity, Reading


def _intent(reading: Reading) -> str:
    return str(nlu_response(reading, 0.6)["intent"]["name"])


def test_a_confident_intent_passes_with_its_entities() -> None:
    number = Entity("order_number", "104233", 21, 27)
    answer = nlu_response(Reading("où en est ma commande 104233 ?", "order_tracking", 0.9, entities=(number,)), 0.6)
    assert answer["intent"] == {"name": "order_tracking", "confidence": 0.9}
    assert answer["intent_ranking"] == [{"name": "order_tracking", "confidence": 0.9}]
    assert answer["text"] == "où en est ma commande 104233 ?"
    [entity] = answer["entities"]
    assert (entity["entity"], entity["value"], entity["start"], entity["end"]) == ("order_number", "104233", 21, 27)


def test_below_the_threshold_nothing_is_claimed() -> None:
    assert _intent(Reading("hmm", "refund", 0.59)) == "nlu_fallback"


@pytest.mark.parametrize("confidence", [0.1, 0.99])
def test_a_wish_for_a_human_goes_before_everything(confidence: float) -> None:
    number = Entity("order_number", "104233", 0, 6)
    reading = Reading("104233", "refund", confidence, wants_human=True, wants_human_probability=0.8, entities=(number,))
    assert nlu_response(reading, 0.6)["intent"] == {"name": "talk_to_human", "confidence": 0.8}


@pytest.mark.parametrize(
    ("kind", "text", "intent"),
    [
        ("order_number", "104871265", "provide_order_number"),
        ("email", "a@example.org.", "provide_email"),
        ("postcode", "69003", "provide_email"),
    ],
)
def test_a_message_that_is_nothing_but_an_entity_says_what_it_is(kind: str, text: str, intent: str) -> None:
    entity = Entity(kind, text.rstrip("."), 0, len(text.rstrip(".")))
    assert _intent(Reading(text, "refund", 0.95, entities=(entity,))) == intent


def test_a_word_beside_a_number_keeps_its_meaning_when_it_is_understood() -> None:
    number = Entity("order_number", "104871265", 7, 16)
    assert _intent(Reading("retour 104871265", "return", 0.95, entities=(number,))) == "return"
    assert _intent(Reading("voici, 104871265", "return", 0.2, entities=(number,))) == "provide_order_number"


def test_a_short_yes_or_no_needs_less_certainty_than_a_motive() -> None:
    assert nlu_response(Reading("laisse tomber", "deny", 0.83), 0.97)["intent"]["name"] == "deny"
    assert (
        nlu_response(Reading("non, et puis où en est mon colis", "deny", 0.9), 0.97)["intent"]["name"] == "nlu_fallback"
    )
    assert nlu_response(Reading("No", "deny", 0.6), 0.97)["intent"]["name"] == "nlu_fallback"


def test_a_doubtful_question_about_a_numbered_order_is_about_that_order() -> None:
    number = Entity("order_number", "104000", 15, 21)
    assert (
        _intent(Reading("et la commande 104000 ?", "order_tracking", 0.5, entities=(number,))) == "provide_order_number"
    )
    assert _intent(Reading("et la commande 104000 ?", "refund", 0.5, entities=(number,))) == "nlu_fallback"


@pytest.mark.parametrize(
    ("text", "confidence", "intent"),
    [
        ("oui", 0.95, "affirm"),
        ("👍", 0.95, "affirm"),
        ("hmm", 0.6, "nlu_fallback"),
        ("c'est cher", 0.89, "nlu_fallback"),
        ("oui ?", 0.95, "nlu_fallback"),
        ("😡😡😡", 0.95, "nlu_fallback"),
        ("???", 0.95, "nlu_fallback"),
    ],
)
def test_a_doubtful_yes_is_none(text: str, confidence: float, intent: str) -> None:
    assert nlu_response(Reading(text, "affirm", confidence), 0.15)["intent"]["name"] == intent


def test_keys_that_were_leant_on_are_no_goodbye() -> None:
    assert nlu_response(Reading("XXXXXXXXXX", "goodbye", 0.29), 0.15)["intent"]["name"] == "nlu_fallback"
    assert nlu_response(Reading("ciao raga", "goodbye", 0.61), 0.15)["intent"]["name"] == "goodbye"


@dataclass(frozen=True)
class Ranked(Reading):
    ranking: tuple[tuple[str, float], ...] = ()


def test_only_the_detector_calls_a_human() -> None:
    ranking = (("talk_to_human", 0.47), ("faq", 0.3), ("greet", 0.1))
    answer = nlu_response(Ranked("attends", "talk_to_human", 0.47, ranking=ranking), 0.15)
    assert answer["intent"] == {"name": "faq", "confidence": 0.3}
    unsure = nlu_response(
        Ranked("attends", "talk_to_human", 0.9, ranking=(("talk_to_human", 0.9), ("faq", 0.05))), 0.15
    )
    assert unsure["intent"]["name"] == "nlu_fallback"
    assert nlu_response(Reading("un conseiller", "faq", 0.9, True, 0.8), 0.15)["intent"]["name"] == "talk_to_human"
