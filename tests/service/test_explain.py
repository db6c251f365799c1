"""`comptoir explain` says what was read in a message and why it is answered, asked about, or handed over."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from rich.console import Console

import triage
from bot.understanding import FALLBACK
from faq_kb import FaqSearch, load_content
from models import OUT_OF_SCOPE, TALK_TO_HUMAN, ChatReading
from service.cli import cli
from service.explain import (
    COMPLAINT,
    COURTESIES,
    ORDER_JOURNEY,
    RETURN_JOURNEY,
    Learned,
    _intent_reason,
    explain,
    open_learned,
)
from service.explain_screen import on_screen
from service.settings import ROOT
from tests.service.conftest import settings_for


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    return open_learned(settings_for(tmp_path_factory.mktemp("explain")))


def run(*arguments: str, **settings: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *arguments], env=settings)


def test_an_answered_question_names_entry_threshold_and_error_rate(learned: Learned) -> None:
    found = explain(learned, "c koi vos délais de livraison ?", language="fr")

    assert found.outcome == "answer"
    assert found.faq.candidates[0].name == "delivery-times"
    assert found.faq.candidates[0].probability >= found.faq.threshold == learned.faq_threshold.value
    reason = next(reason for reason in found.reasons if "delivery-times" in reason)
    assert f"{found.faq.threshold:.3f} is reached" in reason
    assert "1.0% wrong answers" in reason


def test_the_answer_is_the_one_that_the_faq_gives(learned: Learned) -> None:
    for text in ("c koi vos délais de livraison ?", "quelle est la capitale du Pérou ?", "mon colis a un trou"):
        found = explain(learned, text, language="fr")
        result = learned.faq.search(text, found.language, 3)
        assert (found.faq.answered, found.faq.candidates[0].name) == (result.answered, result.slug)
        assert (found.faq.candidates[0].probability >= found.faq.threshold) == result.answered


def test_the_nearest_wordings_come_with_their_similarity_and_entry(learned: Learned) -> None:
    wordings = explain(learned, "Quels sont les délais de livraison ?", language="fr").wordings

    assert len(wordings) == 3
    assert wordings[0].slug == "delivery-times"
    assert wordings[0].similarity == pytest.approx(1.0, abs=1e-3)
    assert wordings[0].similarity >= wordings[1].similarity >= wordings[2].similarity


def test_a_listed_wording_is_said_to_be_one(learned: Learned) -> None:
    found = explain(learned, "quels sont les DELAIS de livraison", language="fr")

    assert found.faq.by == "wording"
    assert any("one of its own wordings" in reason for reason in found.reasons)


def test_a_question_about_nothing_of_ours_stays_without_an_answer(learned: Learned) -> None:
    found = explain(learned, "quelle est la capitale du Pérou ?", language="fr")

    assert found.outcome == "silent"
    assert found.faq.none_probability > 0.5


def test_a_question_below_the_threshold_is_not_answered(learned: Learned) -> None:
    strict = Learned(
        learned.understanding,
        FaqSearch.within(learned.faq.space, learned.faq.content, type(learned.faq.thresholds)(heads=1.01, index=1.01)),
        learned.chat,
        learned.mail,
        learned.faq_threshold,
    )
    found = explain(strict, "c koi vos délais de livraison ?", language="fr")

    assert found.outcome == "ask"
    assert any("threshold of 1.010 is not reached" in reason for reason in found.reasons)
    assert "asks back: 1 suggestion" in found.reasons[-1]


def test_an_entry_that_the_heads_have_not_learnt_is_the_indexs(learned: Learned, tmp_path: Path) -> None:
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "neuf.md").write_text(
        "---\ntitle: Neuf\n---\n\n## Faites-vous des nocturnes le jeudi ? {#late-night}\n\n- nocturne\n\n***\n\nOui.\n"
    )
    faq = FaqSearch.within(learned.faq.space, load_content(tmp_path), learned.faq.thresholds)
    fresh = Learned(learned.understanding, faq, learned.chat, learned.mail, learned.faq_threshold)

    found = explain(fresh, "nocturnes jeudi", language="fr")

    assert found.faq.by == "index"
    assert found.faq.threshold == faq.thresholds.index


def test_a_wish_for_a_human_says_whether_lexicon_or_heads_heard_it(learned: Learned) -> None:
    found = explain(learned, "mon colis est perdu. passez-moi un conseiller, commande 104 871 265", language="fr")

    assert found.outcome == "hand_over"
    assert found.human.wanted
    assert found.human.asks
    assert found.human.said_by in ("lexicon", "both")
    assert "conseiller" in found.human.sentence
    assert found.order_numbers == ("104871265",)
    assert "lexicon" in found.reasons[0]


def test_an_opinion_on_a_wish_is_the_detectors_own(learned: Learned) -> None:
    for text in ("je veux parler à un humain", "où est ma commande ?", "pas besoin d'un humain, merci", "ok"):
        reading = learned.understanding.read_chat(text, "fr")
        opinion = learned.understanding.explain_human_in_chat(text)
        assert opinion.probability == pytest.approx(reading.wants_human_probability)
        assert opinion.wanted == reading.wants_human
        assert (opinion.said_by == "nobody") == (not opinion.wanted)


def test_a_question_about_an_order_is_answered_with_a_question(learned: Learned) -> None:
    found = explain(learned, "où est ma commande ?", language="fr")

    assert found.outcome == "ask"
    assert found.given == ("order_tracking",)
    assert "proof of identity" in found.reasons[-1]


def test_a_mail_shows_its_motives_and_what_the_policy_does(learned: Learned) -> None:
    found = explain(
        learned,
        "Bonjour,\nLe livre de la commande CMD-2026-104233 est arrivé déchiré.\nCordialement",
        channel="mail",
        subject="Livre abîmé",
    )

    assert found.given[0] == "damaged_or_wrong_item"
    assert [guess.probability for guess in found.guesses] == sorted(
        (guess.probability for guess in found.guesses), reverse=True
    )
    assert len(found.guesses) == 5
    assert found.further_threshold == learned.understanding.further_threshold
    assert found.order_numbers == ("CMD-2026-104233",)
    assert found.outcome == "hand_over"
    assert any("draft waits at the desk" in reason for reason in found.reasons)


def test_what_is_shown_is_what_the_json_holds(learned: Learned) -> None:
    found = explain(learned, "c koi vos délais de livraison ?", language="fr")

    written = json.loads(json.dumps(found.to_dict()))
    assert written["faq"]["candidates"][0]["name"] == "delivery-times"
    assert written["wordings"][0]["similarity"] == round(found.wordings[0].similarity, 4)
    screen = io.StringIO()
    Console(width=120, file=screen).print(on_screen(found))
    shown = screen.getvalue()
    for each in ("answers by itself", "delivery-times", "null class", "nearest FAQ wordings", "fr 1.00"):
        assert each in shown


def test_every_rule_of_the_dialogue_has_its_explanation() -> None:
    does = {
        rule["steps"][0]["intent"]: rule["steps"][1]["action"]
        for rule in yaml.safe_load((ROOT / "bot" / "data" / "rules.yml").read_text(encoding="utf-8"))["rules"]
        if "condition" not in rule
    }
    expected = {
        **dict.fromkeys(ORDER_JOURNEY, "order_form"),
        **dict.fromkeys(RETURN_JOURNEY, "return_form"),
        TALK_TO_HUMAN: "action_request_human",
        COMPLAINT: "action_comfort",
        OUT_OF_SCOPE: "action_answer_outsider",
    }
    for intent, action in does.items():
        if intent in COURTESIES:
            assert action == "action_accept" or action.startswith("utter_")
        else:
            assert action == expected.get(intent, "action_answer_question"), intent
    assert expected.keys() | COURTESIES <= does.keys()


def test_without_trained_models_it_says_how_to_train(tmp_path: Path) -> None:
    result = run("bonjour", COMPTOIR_ARTIFACTS_DIR=str(tmp_path), COMPTOIR_DATA_DIR=str(tmp_path))

    assert result.exit_code == 1
    assert "comptoir train" in result.output


@pytest.mark.parametrize("arguments", [("  ",), ("bonjour", "--subject", "x"), ("bonjour", "--language", "pt")])
def test_what_cannot_be_explained_is_refused_in_words(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, COMPTOIR_DATA_DIR=str(tmp_path))

    assert result.exit_code == 2
    assert "Error" in result.output


def test_a_mail_says_what_the_policy_would_need_to_answer_it(learned: Learned) -> None:
    willing = replace(learned, policy=triage.Policy(otherwise=triage.Rule("answer", 0.2)))
    text = "Bonjour, quels sont vos délais de livraison en France ? Je saisis mon avocat, c'est inadmissible."
    found = explain(willing, text, channel="mail", subject="Délais", language="fr")

    assert found.outcome == "hand_over"
    assert any(reason.startswith("Urgency ") and "(legal, anger" in reason for reason in found.reasons)
    assert any("allows an automatic answer, but" in reason and "it is urgent" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("read", "confidence", "acted", "says"),
    [
        ("affirm", 0.6, FALLBACK, "but that it is this one is too doubtful"),
        ("affirm", 0.01, FALLBACK, "an intent is acted on from"),
        (TALK_TO_HUMAN, 0.47, "faq", 'by their own detector alone, so that the next one counts: "faq"'),
        ("refund", 0.95, "refund", "an intent is acted on from"),
    ],
)
def test_why_the_likeliest_intent_is_not_acted_on(
    learned: Learned, read: str, confidence: float, acted: str, says: str
) -> None:
    reading = ChatReading("hmm", "fr", 1.0, read, confidence, True, ((read, confidence),), False, 0.1, (), ())
    assert says in _intent_reason(learned.chat, reading, acted)
