"""Figures over gold and predictions, in the formats of `comptoir evaluate`."""

import pytest

from models import evaluate_chat, evaluate_faq, evaluate_triage


def test_faq_figures() -> None:
    gold = [
        {"id": "1", "language": "fr", "slug": "a"},
        {"id": "2", "language": "fr", "slug": "b"},
        {"id": "3", "language": "en", "slug": "c"},
        {"id": "4", "language": "fr", "slug": None},
    ]
    found = [
        {"id": "4", "answered": True, "slug": "a", "score": 0.6, "top": [{"slug": "a"}]},
        {"id": "1", "answered": True, "slug": "a", "score": 0.9, "top": [{"slug": "a"}, {"slug": "b"}]},
        {"id": "2", "answered": False, "slug": "a", "score": 0.7, "top": [{"slug": "a"}, {"slug": "b"}]},
        {"id": "3", "answered": False, "slug": "c", "score": 0.5, "top": [{"slug": "c"}]},
    ]
    figures = evaluate_faq(gold, found)
    assert figures.hit_at_1 == pytest.approx(2 / 3)
    assert figures.hit_at_3 == 1
    assert figures.hit_at_1_by_language == {"en": 1, "fr": 0.5}
    assert figures.answered_share == 0.5
    assert figures.right_answers == pytest.approx(1 / 3)
    assert figures.wrong_among_answered == 0.5
    assert figures.auroc_answerable == pytest.approx(2 / 3)


def test_triage_figures() -> None:
    gold = [
        {"id": "1", "language": "fr", "motives": ["refund", "invoice"], "wants_human": True, "order_numbers": ["1"]},
        {"id": "2", "language": "de", "motives": ["return"], "wants_human": False, "order_numbers": []},
    ]
    found = [
        {"id": "1", "motives": [{"motive": "refund"}], "wants_human": True, "order_numbers": ["1"], "language": "fr"},
        {"id": "2", "motives": [{"motive": "refund"}], "wants_human": True, "order_numbers": ["2"], "language": "de"},
    ]
    figures = evaluate_triage(gold, found)
    assert figures.primary_accuracy == 0.5
    assert figures.macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    assert figures.set_f1 == pytest.approx(2 / 5)
    assert (figures.human.recall, figures.human.precision) == (1, 0.5)
    assert figures.order_numbers_exact == 0.5
    assert figures.language_accuracy == 1


def test_chat_figures_take_the_human_from_the_intent() -> None:
    gold = [
        {"id": "1", "language": "fr", "intent": "talk_to_human", "order_numbers": []},
        {"id": "2", "language": "fr", "intent": "refund", "order_numbers": []},
    ]
    found = [
        {"id": "1", "intent": "refund", "wants_human": False, "order_numbers": [], "language": "fr"},
        {"id": "2", "intent": "refund", "wants_human": False, "order_numbers": [], "language": "fr"},
    ]
    figures = evaluate_chat(gold, found)
    assert figures.accuracy == 0.5
    assert figures.human.recall == 0


def test_a_row_without_prediction_is_an_error() -> None:
    with pytest.raises(ValueError, match="'2'"):
        evaluate_chat([{"id": "2", "language": "fr", "intent": "greet", "order_numbers": []}], [])
