"""How shoppers name the item they want to send back."""

from __future__ import annotations

import pytest

from bot.choose import choose_item, is_mostly_about
from bot.render import item_words
from shop import ItemView

ITEMS = (
    ItemView(1, "Les heures claires, Maud Servain", "book", 1, 2190),
    ItemView(2, "Carnet à spirale A5, pointillé", "stationery", 2, 890),
    ItemView(3, "L'atelier des vents, tome 1, Noé Marsan", "record", 1, 790),
    ItemView(4, "L'atelier des vents, tome 2, Noé Marsan", "record", 1, 790),
)


@pytest.mark.parametrize(
    ("text", "line_id"),
    [
        ("1", 1),
        ("le 2", 2),
        ("n° 4", 4),
        ("2.", 2),
        ("3. L'atelier des vents, tome 1, Noé Marsan", 3),
        ("le livre", 1),
        ("the book please", 1),
        ("les heures claires", 1),
        ("LES HEURES CLAIRES, MAUD SERVAIN", 1),
        ("le carnet pointille", 2),
        ("tome 2", 4),
        ("l'atelier des vents tome 1", 3),
        ("le truc de Maud Servain", 1),
    ],
)
def test_an_item_is_found(text: str, line_id: int) -> None:
    found = choose_item(text, ITEMS, item_words())
    assert found is not None
    assert found.line_id == line_id


@pytest.mark.parametrize("text", ["", "oui", "9", "le disque", "l'atelier des vents", "je ne sais pas", "104233"])
def test_none_or_several_is_no_choice(text: str) -> None:
    assert choose_item(text, ITEMS, item_words()) is None


def test_the_book_is_not_the_e_book() -> None:
    order = (
        ItemView(1, "Cuisiner les restes, Ana Soulier", "book", 1, 2490),
        ItemView(2, "Manuel du potager (livre numérique)", "ebook", 1, 1499),
    )
    for text, line_id in (
        ("le livre", 1),
        ("le livre numérique", 2),
        ("l'ebook", 2),
        ("the e-book, manuel du potager", 2),
        ("das E-Book bitte", 2),
        ("el libro electrónico", 2),
    ):
        found = choose_item(text, order, item_words())
        assert found is not None
        assert found.line_id == line_id


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("the e-book, manuel du potager", True),
        ("je voudrais renvoyer le manuel du potager s'il vous plaît", True),
        ("est-ce que le manuel du potager parle aussi des tomates en pot sur un balcon ?", False),
        ("quels sont les délais de livraison en Belgique ?", False),
    ],
)
def test_a_choice_is_told_from_a_question_that_names_an_item(text: str, about: bool) -> None:
    item = ItemView(2, "Manuel du potager (livre numérique)", "ebook", 1, 1499)
    assert is_mostly_about(text, item, item_words()) is about
