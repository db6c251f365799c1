"""The words: complete in every language, checked when they are read, and rendered as a shopper sees them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import shop
from bot import RESPONSES, BrokenResponses, Button, Renderer, Reply, payload
from bot.render import item_words

RENDERER = Renderer()

ORDER: dict[str, Any] = {
    "number": "CMD-2026-104233",
    "state": "shipped",
    "placed_on": "2026-05-03",
    "promised_on": "2026-05-09",
    "delivery_method": "standard",
    "parcels": [
        {
            "carrier": "Colissimo",
            "tracking_number": "6A001",
            "state": "in_transit",
            "shipped_on": "2026-05-04",
            "expected_on": "2026-05-09",
            "delivered_on": None,
        }
    ],
    "returns": [
        {"number": "RET-1", "title": "Un livre", "state": "created", "send_before": "2026-06-02", "refund_cents": 1990}
    ],
}
FACTS: dict[str, Any] = {
    "order": ORDER,
    "order_number": "104233",
    "orders": [{"number": "CMD-2026-104233", "placed_on": "2026-05-03", "total_cents": 3970}],
    "items": [{"position": 1, "title": "Un livre", "quantity": 2, "unit_cents": 500}],
    "title": "Un livre",
    "quantity": 1,
    "refund_cents": 1990,
    "number": "RET-2026-000001",
    "send_before": "2026-06-02",
    "days": 30,
    "known": ORDER["returns"][0],
    "answer": "Oui, **vraiment**.",
    "suggestions": [{"slug": "x", "title": "Une question ?"}],
    "reason": "asked",
    "position": 2,
    "wait_minutes": 8,
    "opens_at": None,
    "agent": "Léa Fontaine",
}


@pytest.mark.parametrize("language", RENDERER.languages)
@pytest.mark.parametrize("reply", list(Reply))
@pytest.mark.parametrize("offers_human", [False, True])
def test_every_response_renders_in_every_language(reply: Reply, language: str, offers_human: bool) -> None:
    rendered = RENDERER.render({"response": reply.value, **FACTS, "offers_human": offers_human}, language)
    assert rendered.text
    assert "\n\n\n" not in rendered.text
    assert "{" not in rendered.text
    assert rendered.kind == reply
    human = yaml.safe_load((RESPONSES / f"{language}.yml").read_text())["human_button"]
    assert (Button(human, human) in rendered.buttons) >= offers_human


@pytest.mark.parametrize("language", RENDERER.languages)
def test_every_state_of_the_shop_has_words(language: str) -> None:
    words = yaml.safe_load((RESPONSES / f"{language}.yml").read_text())
    assert set(words["words"]["order_state"]) == {state.value for state in shop.OrderState}
    assert set(words["words"]["parcel_state"]) == {state.value for state in shop.ParcelState}
    assert set(words["words"]["return_state"]) == {state.value for state in shop.ReturnState}
    assert set(words["item_words"]) == {kind.value for kind in shop.ItemKind}
    assert {f"return_refused_{refusal.value}" for refusal in shop.Refusal} <= {reply.value for reply in Reply}


def test_dates_and_money_are_written_as_the_language_does() -> None:
    created = payload(
        Reply.RETURN_CREATED, number="R", title="T", order_number="N", send_before="2026-06-02", refund_cents=123456
    )
    assert "2 juin 2026" in RENDERER.render(created, "fr").text
    assert "1\u202f234,56\u00a0€" in RENDERER.render(created, "fr").text
    assert "2 June 2026" in RENDERER.render(created, "en").text
    assert "€1,234.56" in RENDERER.render(created, "en").text


def test_opening_times_are_told_in_the_shops_time_zone() -> None:
    closed = {"response": "notice_escalated", **FACTS, "opens_at": "2026-05-11T07:00:00+00:00"}
    assert "lundi 11 mai 2026 à 09:00" in RENDERER.render(closed, "fr").text


def test_an_unknown_language_is_answered_in_french() -> None:
    assert RENDERER.render(payload(Reply.GREET), "xx") == RENDERER.render(payload(Reply.GREET), "fr")


def test_facts_from_outside_cannot_format_but_the_faq_can() -> None:
    hostile = payload(Reply.FAQ_ANSWER, title="[x](http://evil) *a*", answer="[lien](https://shop.example) **gras**")
    text = RENDERER.render(hostile, "fr").text
    assert r"\[x\](http://evil) \*a\*" in text
    assert "[lien](https://shop.example) **gras**" in text


def test_buttons_carry_the_text_that_is_sent() -> None:
    confirm = payload(Reply.ASK_RETURN_CONFIRMATION, order_number="N", title="T", quantity=1, refund_cents=1)
    assert RENDERER.render(confirm, "fr").buttons == (Button("Oui, créer le retour", "Oui"), Button("Non", "Non"))


def test_item_words_of_all_languages_count() -> None:
    assert {"livre", "book"} <= item_words()["book"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RESPONSES, tmp_path / "responses"))


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  thanks:", "  thankyou:", 'en.yml: text "thanks" is missing'),
        ("texts:", "texts:\n  extra:\n    text: x", 'en.yml: text "extra" is used nowhere'),
        ("{{ agent }}", "{{ agnt }}", 'en.yml: text "notice_claimed" uses "agnt"'),
        ("{{ agent }}", "{{ agent", 'en.yml: text "notice_claimed" is broken'),
        ("    lost: lost by the carrier\n", "", 'en.yml: words "parcel_state" lack "lost"'),
        ("locale: en_GB", "locale: xx_YY", "en.yml: not readable"),
        ("locale: en_GB", "local: en_GB", "en.yml: not readable"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(copy: Path, old: str, new: str, complaint: str) -> None:
    _edit(copy / "en.yml", old, new)
    with pytest.raises(BrokenResponses, match=complaint):
        Renderer(copy)


def test_another_language_is_only_another_file(copy: Path) -> None:
    shutil.copy(copy / "en.yml", copy / "de.yml")
    _edit(copy / "de.yml", "locale: en_GB", "locale: de_DE")
    _edit(copy / "de.yml", "Hello! What can I do for you?", "Hallo! Was kann ich für Sie tun?")
    assert Renderer(copy).render(payload(Reply.GREET), "de").text.startswith("Hallo")


def test_without_french_there_is_nothing_to_fall_back_to(copy: Path) -> None:
    (copy / "fr.yml").unlink()
    with pytest.raises(BrokenResponses, match=r"fr\.yml is missing"):
        Renderer(copy)
