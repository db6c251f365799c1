"""Which entry an editor should write next."""

from faq_kb import FaqSearch, find_gaps
from models import Encoder

ASKED = [
    ("Vendez-vous des places de concert ?", 3),
    ("vendez vous des places de concert", 2),
    ("je voudrais acheter un billet de concert", 1),
    ("peut-on acheter chez vous des billets pour un concert ?", 1),
    ("Louez-vous des vélos ?", 2),
    ("est-il possible de louer un vélo chez vous", 1),
    ("???", 9),
]


def test_questions_of_one_meaning_are_one_gap(encoder: Encoder, shop_faq: FaqSearch) -> None:
    concert, bicycle = find_gaps(ASKED, encoder, shop_faq)

    assert concert.size == 7
    assert all("concert" in example for example in concert.examples)
    assert bicycle.size == 3
    assert all("vélo" in example for example in bicycle.examples)


def test_spellings_of_one_question_count_together(encoder: Encoder, shop_faq: FaqSearch) -> None:
    (gap,) = find_gaps({"Louez-vous des vélos ?": 2, "LOUEZ VOUS DES VELOS": 3}, encoder, shop_faq)

    assert (gap.size, gap.examples) == (5, ("Louez-vous des vélos ?",))


def test_a_gap_names_the_entry_that_came_closest(encoder: Encoder, shop_faq: FaqSearch) -> None:
    (gap,) = find_gaps([("puis-je avoir un emballage pour un cadeau de Noël en tissu", 1)], encoder, shop_faq)

    assert gap.nearest == "gift-wrap"
    assert 0 < gap.nearest_score < 1
    assert gap.to_dict()["nearest"] == "gift-wrap"


def test_nothing_unanswered_no_gap(encoder: Encoder, shop_faq: FaqSearch) -> None:
    assert find_gaps([], encoder, shop_faq) == ()
