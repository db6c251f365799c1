"""The right entry in the shopper's language, or an honest silence."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import faq_kb.index
from faq_kb import Content, FaqSearch, Thresholds, load_content, training_examples
from faq_kb.index import Embeddings, Scale, Vectors, Wording, WordingIndex
from models import Encoder, Example, HeadEnsemble
from tests.faq_kb.conftest import ACCOUNT, DELIVERY, Write

NEW_ENTRY = """
## Reprenez-vous les vieux tourne-disques ? {#turntable-recycling}

- que faire de mon ancienne platine vinyle
- pouvez-vous recycler un tourne-disque usagé

***

Oui, dans nos boutiques.
"""

OUTSIDE = [
    Example(text, None, "fr")
    for text in (
        "quel temps fera-t-il demain à Lille",
        "qui a gagné le match hier soir",
        "donne-moi une recette de crêpes",
        "combien font douze fois douze",
        "quelle est la capitale du Pérou",
    )
]


@pytest.fixture
def small(small_faq: Path) -> Content:
    return load_content(small_faq)


@pytest.fixture(scope="session")
def heads(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> HeadEnsemble:
    """Real heads, trained on the three entries of the small FAQ."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "fr").mkdir()
    (folder / "fr" / "livraison.md").write_text(DELIVERY, encoding="utf-8")
    (folder / "fr" / "compte.md").write_text(ACCOUNT, encoding="utf-8")
    return HeadEnsemble.fit(encoder, [*training_examples(load_content(folder)), *OUTSIDE])


@pytest.mark.parametrize(
    ("question", "language", "slug"),
    [
        ("Où puis-je télécharger la facture de ma commande ?", "fr", "invoice-download"),
        ("mot de passe oublié comment faire", "fr", "forgotten-password"),
        ("Where can I download my invoice?", "en", "invoice-download"),
        ("do you offer gift wrapping", "en", "gift-wrap"),
    ],
)
def test_a_question_finds_its_entry_without_trained_heads(
    shop_faq: FaqSearch, question: str, language: str, slug: str
) -> None:
    result = shop_faq.search(question, language)

    assert result.slug == slug
    assert result.top[0].language == language
    assert [hit.score for hit in result.top] == sorted((hit.score for hit in result.top), reverse=True)
    assert len(result.top) == 3


@pytest.mark.parametrize(
    "question",
    [
        "Quelle est la capitale de l'Australie ?",
        "what is the meaning of life",
        "asdf qwer",
        "j'ai mal aux dents depuis hier",
    ],
)
def test_a_question_outside_the_faq_is_not_answered(shop_faq: FaqSearch, question: str) -> None:
    assert not shop_faq.search(question, "fr").answered


@pytest.mark.parametrize("question", ["", "   ", "?!", "👍"])
def test_no_words_no_answer(shop_faq: FaqSearch, question: str) -> None:
    result = shop_faq.search(question, "fr")

    assert (result.answered, result.slug, result.top) == (False, None, ())


def test_whoever_types_a_listed_wording_gets_its_answer(encoder: Encoder, small: Content) -> None:
    never = FaqSearch(encoder, small, thresholds=Thresholds(heads=1.01, index=1.01))

    result = never.search("Frais de port, SVP !!", "fr")

    assert (result.answered, result.slug, result.score) == (True, "delivery-costs", 1.0)
    assert result.top[0].wording == "frais de port svp"


def test_an_answer_is_given_in_another_language_rather_than_not_at_all(encoder: Encoder, small: Content) -> None:
    entry = small.entries["fr", "delivery-costs"]
    english = replace(entry, language="en", title="How much is delivery?", answer_markdown="It costs €3.90.")
    both = Content({**small.entries, ("en", "delivery-costs"): english})

    search = FaqSearch(encoder, both)

    assert search.search("how much is delivery", "en").top[0].answer_markdown == "It costs €3.90."
    assert search.search("how much is delivery", "de").top[0].language == "fr"
    assert search.search("mdp oublié", "en").top[0].language == "fr"


def test_an_empty_faq_answers_nothing(encoder: Encoder) -> None:
    assert not FaqSearch(encoder, Content({})).search("où est ma facture", "fr").answered


def test_a_single_entry_does_not_answer_everything(encoder: Encoder, small: Content) -> None:
    alone = FaqSearch(encoder, Content({("fr", "delivery-costs"): small.entries["fr", "delivery-costs"]}))

    assert not alone.search("J'ai oublié mon mot de passe", "fr").answered
    assert alone.search("frais de port, s'il vous plaît : svp", "fr").slug == "delivery-costs"


def test_the_threshold_decides_what_is_given(encoder: Encoder, small: Content) -> None:
    question = "combien de temps pour recevoir un livre"

    assert FaqSearch(encoder, small, thresholds=Thresholds(index=0.2)).search(question, "fr").answered
    assert not FaqSearch(encoder, small, thresholds=Thresholds(index=0.999)).search(question, "fr").answered


def test_the_heads_speak_for_what_they_learnt(encoder: Encoder, small: Content, heads: HeadEnsemble) -> None:
    question = "je ne retrouve plus mon mot de passe"

    result = FaqSearch(encoder, small, heads, Thresholds(heads=0.5)).search(question, "fr")

    expected = heads.predict([question])[0, heads.labels.index("forgotten-password")]
    assert result.slug == "forgotten-password"
    assert result.score == pytest.approx(expected)


def test_an_entry_that_the_heads_do_not_know_answers_at_once(
    encoder: Encoder, heads: HeadEnsemble, small_faq: Path, write: Write
) -> None:
    write("fr/compte", ACCOUNT + NEW_ENTRY)

    search = FaqSearch(encoder, load_content(small_faq), heads)

    assert "turntable-recycling" not in heads.labels
    result = search.search("que faire de ma vieille platine vinyle", "fr")
    assert (result.answered, result.slug) == (True, "turntable-recycling")
    assert search.search("je ne retrouve plus mon mot de passe", "fr").slug == "forgotten-password"


def test_a_wording_that_the_heads_have_not_learnt_counts_at_once(
    encoder: Encoder, heads: HeadEnsemble, small: Content, small_faq: Path, write: Write
) -> None:
    learnt = [entry.text for entry in training_examples(small)]
    question = "le petit chat de la voisine miaule tout le temps"
    write("fr/compte", ACCOUNT.replace("- mdp oublié", "- mdp oublié\n- le chat de ma voisine miaule sans arrêt"))

    before = FaqSearch(encoder, small, heads, learnt=learnt).search(question, "fr")
    after = FaqSearch(encoder, load_content(small_faq), heads, learnt=learnt).search(question, "fr")

    assert not before.answered
    assert (after.answered, after.slug) == (True, "forgotten-password")


def test_an_entry_that_is_gone_is_never_given(encoder: Encoder, small: Content, heads: HeadEnsemble) -> None:
    left = Content({key: entry for key, entry in small.entries.items() if entry.slug != "forgotten-password"})

    result = FaqSearch(encoder, left, heads).search("je ne retrouve plus mon mot de passe", "fr")

    assert not result.answered
    assert "forgotten-password" not in {hit.slug for hit in result.top}


class Recorder:
    """The real encoder, remembering what it was asked."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return self._encoder.encode(texts)


def test_an_edit_encodes_only_what_changed(encoder: Encoder, small: Content, small_faq: Path, write: Write) -> None:
    recorder = Recorder(encoder)
    first = FaqSearch(recorder, small)
    recorder.asked.clear()
    write("fr/compte", ACCOUNT.replace("- mdp oublié", "- mdp perdu"))

    FaqSearch.within(first.space, load_content(small_faq), first.thresholds)

    assert recorder.asked == ["mdp perdu"]


def test_embeddings_come_back_in_the_order_asked(encoder: Encoder) -> None:
    embeddings = Embeddings(encoder.encode)
    embeddings.of(["un livre", "une platine"])

    mixed = embeddings.of(["une platine", "un disque", "un livre"])

    assert np.allclose(mixed, encoder.encode(["une platine", "un disque", "un livre"]), atol=1e-5)


def test_beyond_the_flat_limit_a_graph_finds_the_same(
    encoder: Encoder, shipped: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    wordings = [
        Wording(text, entry.slug, entry.language) for entry in shipped.entries.values() for text in entry.texts
    ][:600]
    vectors = encoder.encode([wording.text for wording in wordings])
    flat = WordingIndex(vectors, wordings)
    monkeypatch.setattr(faq_kb.index, "FLAT_LIMIT", 500)
    graph = WordingIndex(vectors, wordings)

    questions = encoder.encode(["où est mon colis", "je veux être remboursé", "code promo refusé"])
    assert np.array_equal(flat.nearest(questions, 10)[1], graph.nearest(questions, 10)[1])
    assert type(flat._index) is not type(graph._index)


def test_shares_of_entries_and_of_none_add_up_to_one() -> None:
    vectors = np.eye(4, dtype=np.float32)
    wordings = [
        Wording("a", "one", "fr"),
        Wording("b", "one", "fr", learnt=True),
        Wording("c", "two", "fr"),
        Wording("d", "two", "fr"),
    ]
    index = WordingIndex(vectors, wordings)
    scale = Scale(sharpness=10.0, background=0.5)

    cosines, rows = index.nearest(vectors[:1])
    learnt, fresh = index.masses(cosines[0], rows[0], scale)

    none = np.exp(-5.0) / (np.exp(-5.0) + (1 + 3 * np.exp(-10.0)) / np.sqrt(2))
    assert learnt.sum() + fresh.sum() == pytest.approx(1 - none)
    assert fresh[0] > 0.9
    assert learnt[1] == 0


def test_what_is_nearer_to_a_question_that_nobody_answers_is_not_answered(encoder: Encoder, small: Content) -> None:
    sure = Thresholds(index=0.0)
    question = "combien coûte une livraison de pizza"
    assert FaqSearch(encoder, small, thresholds=sure).search(question, "fr").answered

    search = FaqSearch(
        encoder, small, thresholds=sure, unanswerable=["une livraison de pizza, c'est combien", "il pleut ?"]
    )

    assert not search.search(question, "fr").answered
    assert search.search("frais de port, c'est combien svp", "fr").answered


def test_the_heads_have_a_class_for_what_nobody_answers(encoder: Encoder, small: Content, heads: HeadEnsemble) -> None:
    question = "je ne retrouve plus mon mot de passe"
    search = FaqSearch(encoder, small, heads, Thresholds(heads=0.0), unanswerable=[question])
    assert search.search(question, "fr").answered
