"""One message read, with heads trained on a handful of texts."""

from pathlib import Path

import pytest

from models import (
    Encoder,
    Example,
    HeadEnsemble,
    MailExample,
    Understanding,
    load_understanding,
    train_chat,
    train_human,
    train_mail,
)
from models.human import Evidence, HumanRequestDetector, lexicon_evidence, threshold_for_recall
from models.sentences import split_sentences
from models.train import POLICY_ERROR_RATES
from models.understanding import read_thresholds

NOTHING = Example("quel temps fait-il", None, "fr")


@pytest.fixture(scope="module")
def understanding(
    encoder: Encoder, turns: list[Example], mails: list[MailExample], tmp_path_factory: pytest.TempPathFactory
) -> Understanding:
    artifacts: Path = tmp_path_factory.mktemp("artifacts")
    train_chat(turns, [], encoder, artifacts)
    train_mail(mails, turns, [], encoder, artifacts)
    train_human(turns, mails, [], [], encoder, artifacts)
    return load_understanding(artifacts, encoder)


def test_a_chat_message(understanding: Understanding) -> None:
    reading = understanding.read_chat("Bonjour, où en est ma commande cmd 2026 104233 ?")
    assert reading.intent == "order_tracking"
    assert reading.language == "fr"
    assert reading.order_numbers == ("CMD-2026-104233",)
    assert not reading.wants_human
    assert reading.ranking[0] == (reading.intent, reading.confidence)
    assert sum(probability for _, probability in reading.ranking) == pytest.approx(1)


@pytest.mark.parametrize(
    "text",
    [
        "je veux parler à un humain",
        "Mon colis est perdu. Passez-moi quelqu'un !",
        "can I speak to someone please",
        "Kann ich mit einem Menschen sprechen?",
        "quiero hablar con alguien",
        "posso parlare con qualcuno?",
    ],
)
def test_asking_for_a_human_in_five_languages(understanding: Understanding, text: str) -> None:
    assert understanding.read_chat(text).wants_human


def test_the_conversation_keeps_its_language(understanding: Understanding) -> None:
    assert understanding.read_chat("ok", language_hint="de").language == "de"


def test_a_message_of_nothing_is_read(understanding: Understanding) -> None:
    for text in ("", "   ", "???", "\n", "😀"):
        reading = understanding.read_chat(text)
        assert not reading.order_numbers
        assert understanding.read_mail("", text).predicted


def test_a_mail_has_at_least_its_primary_motive(understanding: Understanding) -> None:
    reading = understanding.read_mail("Facture", "Bonjour,\nil me faudrait la facture de la commande 104871265.\nMerci")
    assert reading.primary == "invoice"
    assert reading.predicted[0] == "invoice"
    assert {motive for motive, _ in reading.motives} == {"invoice", "order_tracking", "refund"}
    assert reading.order_numbers == ("104871265",)
    assert [p for _, p in reading.motives] == sorted((p for _, p in reading.motives), reverse=True)


def test_a_mail_that_asks_to_be_called(understanding: Understanding) -> None:
    body = "Toujours pas d'argent sur mon compte.\nJe veux parler à un conseiller, rappelez-moi."
    assert understanding.read_mail("Remboursement", body).wants_human


@pytest.mark.parametrize(
    ("text", "asks", "refuses"),
    [
        ("passez moi un conseiller", 1, 0),
        ("Rappelez-moi svp", 1, 0),
        ("inutile de me rappeler", 1, 1),
        ("your advisor told me to wait", 0, 1),
        ("où est mon colis", 0, 0),
    ],
)
def test_the_lexicon_knows_who_asks_and_who_refuses(text: str, asks: int, refuses: int) -> None:
    assert lexicon_evidence(text) == (asks, refuses)


@pytest.mark.parametrize("text", ["Mon colis est perdu. Passez-moi quelqu'un !", "inutile de me rappeler", "merci", ""])
def test_an_opinion_on_a_human_request_is_that_of_the_reading(understanding: Understanding, text: str) -> None:
    for opinion, reading in (
        (understanding.explain_human_in_chat(text), understanding.read_chat(text)),
        (understanding.explain_human_in_mail("Colis", text), understanding.read_mail("Colis", text)),
    ):
        assert opinion.probability == pytest.approx(reading.wants_human_probability)
        assert opinion.wanted == reading.wants_human
        assert (opinion.said_by == "nobody") == (not opinion.wanted)


def test_an_opinion_names_the_sentence_and_who_said_so(
    understanding: Understanding, encoder: Encoder, turns: list[Example]
) -> None:
    opinion = understanding.explain_human_in_mail("Colis", "Il est perdu depuis lundi. Passez-moi un conseiller.")
    assert (opinion.sentence, opinion.asks, opinion.refuses) == ("Passez-moi un conseiller.", True, False)

    heads = HeadEnsemble.fit(encoder, [Example(t.text, "talk_to_human", "fr") for t in turns] + [NOTHING] * 3)
    deaf = HumanRequestDetector(heads, mail=Evidence(bias=-9.0, head=0.0, asks=10.0, refuses=-5.0))
    assert deaf.mail_opinion("", "Passez-moi un conseiller.").said_by == "lexicon"
    alone = HumanRequestDetector(heads, mail=Evidence(bias=9.0, head=0.0, asks=0.0, refuses=0.0))
    assert alone.mail_opinion("", "où est donc mon colis").said_by == "heads"
    assert alone.mail_opinion("", "Passez-moi un conseiller.").said_by == "both"


def test_the_human_threshold_misses_one_request_in_a_hundred_at_most() -> None:
    import numpy as np

    requests = np.array([0.2] + [0.3] + [0.9] * 98)
    others = np.array([0.28] + [0.05] * 50)
    scores, truth = np.append(requests, others), np.append(np.ones(100, bool), np.zeros(51, bool))
    assert threshold_for_recall(scores, truth) == pytest.approx(0.29)  # above the other's .28, below the second request
    assert threshold_for_recall(scores, truth, missed=0.0) == pytest.approx(0.125)
    assert threshold_for_recall(np.append(scores, 0.01), np.append(truth, True), missed=0.0) == 0.1
    assert threshold_for_recall(scores[-60:], truth[-60:]) == 0.4  # nine requests


def test_sentences_of_a_wrapped_mail() -> None:
    text = (
        "Bonjour,\nje vous écris au sujet de la commande que j'ai passée lundi dernier\net qui n'est pas là. Merci !\n"
    )
    assert split_sentences(text) == (
        "Bonjour,",
        "je vous écris au sujet de la commande que j'ai passée lundi dernier et qui n'est pas là.",
        "Merci !",
    )


def test_mails_read_together_are_read_as_alone(understanding: Understanding, encoder: Encoder) -> None:
    mails = [
        ("Facture", "il me faudrait la facture de la commande 104871265"),
        ("", ""),
        ("Paket", "Wo bleibt es?\n" * 60),
    ]
    each = [understanding.read_mail(*mail) for mail in mails]
    encoder._cache.clear()
    for alone, together in zip(each, understanding.read_mails(mails), strict=True):
        assert together.predicted == alone.predicted
        assert together.wants_human_probability == pytest.approx(alone.wants_human_probability, abs=1e-3)
        assert dict(together.motives) == pytest.approx(dict(alone.motives), abs=1e-3)
    assert understanding.read_mails([]) == []


def test_a_threshold_is_read_for_every_error_rate_that_training_wrote_one_for(tmp_path: Path) -> None:
    (tmp_path / "thresholds.json").write_text('{"target": 0.01, "value": 0.9}')
    assert read_thresholds(tmp_path) == {0.01: 0.9}
    (tmp_path / "thresholds.json").write_text(
        '{"target": 0.01, "value": 0.9, "by_error_rate": {"0.005": 1.01, "0.05": 0.7}}'
    )
    assert read_thresholds(tmp_path) == {0.005: 1.01, 0.01: 0.9, 0.05: 0.7}


def test_a_mail_says_the_smallest_error_rate_at_which_its_motive_may_be_acted_on(understanding: Understanding) -> None:
    assert set(POLICY_ERROR_RATES) <= set(understanding.mail_thresholds)
    reading = understanding.read_mail("Suivi", "Où en est ma commande ?")
    probability = dict(reading.motives)[reading.primary]
    understanding.mail_thresholds = {0.01: probability + 0.001, 0.05: probability, 0.1: probability - 0.001}
    assert understanding.read_mail("Suivi", "Où en est ma commande ?").error_rate == 0.05
    understanding.mail_thresholds = {0.01: 1.01}
    assert understanding.read_mail("Suivi", "Où en est ma commande ?").error_rate == 1.0
