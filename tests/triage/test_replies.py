"""Drafts in the customer's language, and finished messages that no customer's text can bend."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.triage.reader import Reader, Reading, mail
from triage import Draft, OrderFacts, compose, draft_reply, read_mail, reply_subject, sort, template_language
from triage.reply import MAX_REFERENCES, TEMPLATES

NOW = datetime(2026, 3, 2, 10, 12, tzinfo=UTC)
MOTIVES = sorted(
    path.name.removesuffix(".txt.j2") for path in (TEMPLATES / "fr").glob("[a-z]*.j2") if path.name != "mail.txt.j2"
)
LANGUAGES = sorted(path.name for path in TEMPLATES.iterdir())
ORDER = {
    "number": "CMD-2026-104233",
    "state": "shipped",
    "placed_on": "2026-03-01",
    "promised_on": "2026-03-05",
    "parcels": [
        {"carrier": "Colissimo", "tracking_number": "6A123", "state": "in_transit", "shipped_on": "2026-03-02",
         "expected_on": "2026-03-05", "delivered_on": None}
    ],
    "returns": [
        {"number": "RET-7", "title": "Carnet", "state": "received", "created_on": "2026-02-01", "send_before": "2026-03-01",
         "refund_cents": 1990}
    ],
}  # fmt: skip


def draft(reading: Reading | None = None, *, sender: str = "Jean Dupont <jean@client.example>", **given: Any) -> Draft:
    read = read_mail(mail(**{"from": sender}))
    return draft_reply(read, sort(read, Reader(reading or Reading())), shop_name="Librairie Tournesol", **given)


def sent(**given: Any) -> EmailMessage:
    wanted = {
        "sender": "contact@shop.example", "sender_name": "Librairie", "recipient": "jean@client.example",
        "subject": "Re: colis", "text": "Bonjour", "language": "fr", "now": NOW,
    } | given  # fmt: skip
    message = email.message_from_bytes(compose(**wanted).raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("motive", MOTIVES)
@pytest.mark.parametrize(
    "orders",
    [None, OrderFacts((ORDER,)), OrderFacts((), ("CMD-2026-104233",), True), OrderFacts(sender_known=True)],
    ids=["nothing", "facts", "proof", "known"],
)
def test_every_motive_has_a_paragraph_in_every_language(language: str, motive: str, orders: OrderFacts | None) -> None:
    reading = Reading(
        language=language, motives=((motive, 0.9),), predicted=(motive,), order_numbers=("CMD-2026-104233",)
    )
    written = draft(reading, orders=orders)
    assert written.language == language
    assert len(written.text.split("\n\n")) >= 4
    assert "Librairie Tournesol" in written.text
    assert not re.search(r"[{}]|None|Undefined", written.text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_complete_or_absent(language: str) -> None:
    assert {path.name for path in (TEMPLATES / language).iterdir()} == {
        path.name for path in (TEMPLATES / "fr").iterdir()
    }


def test_a_language_without_templates_is_answered_in_english() -> None:
    assert draft(Reading(language="pt")).language == "en"
    assert template_language("../../etc") == "en"


def test_a_new_language_is_only_more_files(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "mail.txt.j2").write_text("Guten Tag {{ name }}", encoding="utf-8")
    assert draft(Reading(language="de"), templates=tmp_path).text == "Guten Tag Jean Dupont\n"


def test_order_facts_appear_only_when_they_are_given() -> None:
    reading = Reading(order_numbers=("CMD-2026-104233",))
    unverified = draft(reading).text
    assert "l'adresse e-mail ou le code postal" in unverified
    assert "Colissimo" not in unverified
    verified = draft(reading, orders=OrderFacts((ORDER,))).text
    assert "du 1er mars 2026 est expédiée, livraison prévue le 5 mars 2026." in verified
    assert "Colis Colissimo 6A123 : en cours d'acheminement, attendu le 5 mars 2026." in verified
    assert "Retour RET-7 (Carnet) : reçu, remboursement de 19,90" in verified


def parcel(state: str) -> dict[str, Any]:
    return {**ORDER["parcels"][0], "state": state}


@pytest.mark.parametrize("state", ["at_pickup_point", "lost", "delivered"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_has_arrived_or_is_lost_is_not_expected(language: str, state: str) -> None:
    order = ORDER | {"state": "delivered", "parcels": [parcel(state)]}
    assert "5" not in draft(Reading(language=language), orders=OrderFacts((order,))).text.replace("104233", "")


def test_every_order_that_was_named_is_spoken_of() -> None:
    other = ORDER | {"number": "CMD-2026-104000", "parcels": [], "returns": []}
    text = draft(Reading(), orders=OrderFacts((ORDER, other), ("CMD-2026-999999",))).text
    assert "Votre commande CMD-2026-104233" in text
    assert "Votre commande CMD-2026-104000" in text
    assert "pour la commande CMD-2026-999999 ?" in text


def test_what_has_been_given_is_not_asked_for_again() -> None:
    given = draft(Reading(), orders=OrderFacts((), ("CMD-2026-104233",), proof_given=True)).text
    assert "j'ai bien reçu votre numéro de commande (CMD-2026-104233) et vos coordonnées" in given
    assert "pouvez-vous" not in given
    known = draft(Reading(), orders=OrderFacts(sender_known=True)).text
    assert "le numéro de la commande" in known
    assert "adresse e-mail" not in known


def test_a_reply_that_nobody_reads_calls_only_a_known_sender_by_their_name() -> None:
    assert "Jean Dupont" not in draft(kind="acknowledgement").text
    assert "Bonjour Jean Dupont" in draft(kind="acknowledgement", orders=OrderFacts(sender_known=True)).text


def test_a_guess_is_not_put_into_the_customers_mouth() -> None:
    guess = Reading(motives=(("newsletter_unsubscribe", 0.41),), predicted=("newsletter_unsubscribe",))
    assert "lettres d'information" not in draft(guess).text
    assert "Je prends connaissance de votre demande" in draft(guess).text


def test_several_motives_give_several_paragraphs_and_ask_once() -> None:
    text = draft(Reading(predicted=("order_tracking", "return"))).text
    assert "où en est votre commande" in text
    assert "renvoyer ou échanger" in text
    assert text.count("votre numéro de commande") == 1


def test_an_faq_answer_becomes_plain_text() -> None:
    text = draft(faq_answer="Oui, **sous 30 jours** :\n\n- [étiquette](https://shop.example/r)\n- dépôt").text
    assert "Oui, sous 30 jours :" in text
    assert "étiquette (https://shop.example/r)" in text
    assert "**" not in text


def test_who_asked_for_a_human_is_told_that_one_answers() -> None:
    assert "conseiller" in draft(Reading(wants_human=True)).text
    assert "conseiller" not in draft().text


@pytest.mark.parametrize(
    ("sender", "greeting"),
    [
        ("Jean Dupont <jean@client.example>", "Bonjour Jean Dupont,"),
        ("Anne-Marie O'Neill <a@client.example>", "Bonjour Anne-Marie O'Neill,"),
        ("jean1975 <jean@client.example>", "Bonjour,"),
        ('"WIN http://evil.example" <jean@client.example>', "Bonjour,"),
        ("Gagnez un iPhone sur evil-shop.com <jean@client.example>", "Bonjour,"),
        ("J.-P. Martin <jean@client.example>", "Bonjour J.-P. Martin,"),
        ('"{{ 7*7 }}" <jean@client.example>', "Bonjour,"),
        ("jean@client.example", "Bonjour,"),
    ],
)
def test_only_a_name_is_greeted(sender: str, greeting: str) -> None:
    assert draft(sender=sender).text.startswith(greeting)


@pytest.mark.parametrize(
    ("subject", "reply"),
    [
        ("Colis", "Re: Colis"),
        ("Re: Colis", "Re: Colis"),
        ("RE: AW: Antw: Réf : TR: Fwd: Colis", "Re: Colis"),
        ("Réf : 104233", "Re: Réf : 104233"),
        ("Re[2]: Colis", "Re: Colis"),
        ("Retour : mon colis", "Re: Retour : mon colis"),
        ("", "Re:"),
        ("a\r\nBcc: x@y.example", "Re: a Bcc: x@y.example"),
    ],
)
def test_a_reply_says_re_once(subject: str, reply: str) -> None:
    assert reply_subject(subject) == reply


def test_a_composed_reply_has_text_html_and_its_place_in_the_thread() -> None:
    message = sent(
        text="Bonjour Élise,\nça va ?\n\nhttps://shop.example/?a=1&b=2", answers="<2@x>", references=("<1@x>",)
    )
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert rich is not None
    assert plain.get_content().splitlines() == ["Bonjour Élise,", "ça va ?", "", "https://shop.example/?a=1&b=2"]
    assert "<p>Bonjour Élise,<br>" in rich.get_content()
    assert '<a href="https://shop.example/?a=1&amp;b=2">' in rich.get_content()
    assert message["In-Reply-To"] == "<2@x>"
    assert message["References"] == "<1@x> <2@x>"
    assert message["Content-Language"] == "fr"
    assert message["Message-ID"].endswith("@shop.example>")
    assert message["Date"].datetime == NOW


def test_only_a_machine_says_that_it_is_one() -> None:
    assert sent()["Auto-Submitted"] is None
    assert sent(automatic=True)["Auto-Submitted"] == "auto-replied"
    assert sent(automatic=True)["X-Auto-Response-Suppress"] == "All"


def test_message_ids_are_unique_and_references_capped() -> None:
    assert sent()["Message-ID"] != sent()["Message-ID"]
    long = tuple(f"<{n}@{'x' * 100}.example>" for n in range(60))
    kept = sent(references=long, answers="<last@x>")["References"].split()
    assert len(kept) == MAX_REFERENCES
    assert (kept[0], kept[-1]) == (long[0], "<last@x>")


def test_html_of_the_text_is_escaped() -> None:
    rich = sent(text="<script>alert(1)</script> & <b>").get_body(("html",))
    assert rich is not None
    assert "<script>" not in rich.get_content()


@pytest.mark.parametrize(
    "address",
    ["", "jean", "a b@x.example", "a@x.example\r\nBcc: b@x.example", "a..b@x.example", "a@-x.example", "é@x.example"],
)
def test_an_address_that_cannot_be_written_to_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        sent(recipient=address)


def test_a_domain_with_accents_is_written_in_ascii() -> None:
    assert sent(recipient="jean@café.example")["To"] == "jean@xn--caf-dma.example"


_TEXT = st.text(max_size=60) | st.sampled_from(
    ["x\r\nBcc: evil@x.example", "x\nSubject: y\n\nbody", "a\x85b\u2028Bcc: c@d.example"]
)


@settings(max_examples=100, deadline=None)
@given(subject=_TEXT, name=_TEXT, text=_TEXT, answers=_TEXT, reference=_TEXT)
def test_no_text_can_add_a_header(subject: str, name: str, text: str, answers: str, reference: str) -> None:
    clean = {
        key: value.encode("utf-8", "replace").decode()
        for key, value in {"subject": subject, "sender_name": name, "text": text}.items()
    }
    message = sent(**clean, answers=answers, references=(reference,))
    allowed = {
        "message-id",
        "in-reply-to",
        "references",
        "from",
        "to",
        "subject",
        "date",
        "content-language",
        "mime-version",
        "content-type",
    }
    assert {header.lower() for header in message} <= allowed
    assert len(message.keys()) == len(set(message.keys()))
    assert message.get_content_type() == "multipart/alternative"
    assert message["To"] == "jean@client.example"


def test_a_subject_with_half_an_encoded_word_can_be_answered() -> None:
    answered = sent(subject="Re: =?utf-8?q?=E9t=C3=A9 =?x?b?\udc80 colis")
    assert "colis" in str(answered["Subject"])
