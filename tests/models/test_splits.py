"""The frozen sets judge what is learned from other authors' text: no text may stand, or nearly stand, on both sides."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

import faq_kb
from models import MailExample
from models.tfidf import fold
from service.settings import ROOT
from service.training import TrainingText

SHORTEST = 4
"""Fewer words than this ("non merci", "un conseiller svp") are everybody's."""
NEAR = 0.88
"""Cosine of character n-grams: "que faire ?" for "que puis-je faire ?" in an else equal question."""

CONTENT = ROOT / "faq_kb" / "content"


def near_duplicates(learned: Sequence[str], frozen: Sequence[str], near: float = NEAR) -> list[tuple[str, str]]:
    """Each frozen text that has nearly the same words as a learned one, with that one."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), lowercase=False, sublinear_tf=True)
    known = vectorizer.fit_transform([fold(text) for text in learned])
    asked = [text for text in frozen if len(re.findall(r"[^\W\d_]+", text)) >= SHORTEST]
    similarity = vectorizer.transform([fold(text) for text in asked]) @ known.T
    nearest = np.asarray(similarity.argmax(axis=1)).ravel()
    best = similarity.max(axis=1).toarray().ravel()
    return [(asked[row], learned[nearest[row]]) for row in np.flatnonzero(best >= near)]


def _mail(mail: MailExample) -> str:
    return f"{mail.subject}\n{mail.body}"


@pytest.fixture(scope="module")
def text() -> TrainingText:
    return TrainingText(CONTENT)


def test_no_frozen_question_is_a_learned_one(text: TrainingText) -> None:
    learned = text.questions(faq_kb.load_content(CONTENT))
    assert near_duplicates([row.text for row in learned], [row.text for row in text.frozen_questions]) == []


def test_no_frozen_turn_is_a_learned_one(text: TrainingText) -> None:
    assert near_duplicates([row.text for row in text.turns], [row.text for row in text.frozen_turns]) == []


def test_no_frozen_mail_is_a_learned_one(text: TrainingText) -> None:
    learned = [_mail(mail) for mail in text.mails]
    assert near_duplicates(learned, [_mail(mail) for mail in text.frozen_mails], 0.7) == []


def test_a_near_duplicate_is_seen() -> None:
    learned = ["Mon paiement a été refusé, que faire ?", "Où est mon colis ?"]
    found = near_duplicates(
        learned, ["mon paiement a ete refuse, que puis-je faire", "Le facteur n'est pas passé hier"]
    )
    assert found == [("mon paiement a ete refuse, que puis-je faire", learned[0])]
