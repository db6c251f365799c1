"""The newest text apart from history and signature, in five languages and in the habits of the usual mail programs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.triage.quotes import QUOTES, Quote
from triage import split_newest

DATA = Path(__file__).resolve().parents[2] / "triage" / "data"


@pytest.mark.parametrize("quote", QUOTES, ids=lambda quote: f"{quote.language} {quote.program}")
def test_history_is_set_apart_and_kept(quote: Quote) -> None:
    newest = split_newest(f"Toujours rien reçu !\nJean\n\n{quote.text}\n")
    assert newest.text == "Toujours rien reçu !\nJean"
    assert newest.quoted == "\n".join(line.rstrip() for line in quote.text.split("\n"))
    assert newest.signature == ""


@pytest.mark.parametrize(
    "line",
    [
        "Envoyé de mon iPhone", "Envoyé depuis mon appareil Galaxy", "Télécharger Outlook pour Android<https://aka.ms/x>",
        "Envoyé à partir de Outlook pour iOS", "Sent from my iPhone", "Get Outlook for iOS<https://aka.ms/o0ukef>",
        "Von meinem iPhone gesendet", "Gesendet mit der GMX Mail App", "Diese Nachricht wurde von meinem Android-Gerät gesendet.",
        "Enviado desde mi iPhone", "Obtener Outlook para Android", "Inviato da Libero Mail per Android", "Inviato da iPhone",
    ],
)  # fmt: skip
def test_the_line_of_a_telephone_is_a_signature(line: str) -> None:
    newest = split_newest(
        f"Où est mon colis ?\n\n{line}\n\nLe 3 mars 2026 à 10:12, L <a@b.example> a écrit :\n> Bonjour"
    )
    assert (newest.text, newest.signature) == ("Où est mon colis ?", line)


def test_answers_between_quoted_lines_survive() -> None:
    newest = split_newest("> Quelle adresse ?\n> Merci\n12 rue des Lilas\n> Et la taille ?\nM\n\nJean")
    assert newest.text == "12 rue des Lilas\nM\n\nJean"
    assert newest.quoted == "> Quelle adresse ?\n> Merci\n> Et la taille ?"


MARKED = [quote for quote in QUOTES if re.search(r"^> ?\w", quote.text, re.M)]


@pytest.mark.parametrize("quote", MARKED, ids=lambda quote: f"{quote.language} {quote.program}")
def test_inline_answers_survive_below_the_header_of_every_program_that_marks_lines(quote: Quote) -> None:
    body = (
        f"Voici mes réponses.\n\n{quote.text}\n> Quelle est votre adresse ?\n\n12 rue des Lilas, Lyon\n\n"
        "> Et la taille ?\n> Merci de votre patience\nM, comme la dernière fois\n> Bien à vous\n\nJean"
    )
    newest = split_newest(body)
    answers = ["Voici mes réponses.", "12 rue des Lilas, Lyon", "M, comme la dernière fois", "Jean"]
    assert [line for line in newest.text.split("\n") if line] == answers
    assert "Quelle est votre adresse ?" in newest.quoted


_WORDS = st.lists(
    st.sampled_from(["Oui", "Non", "Merci", "colis", "demain", "adresse", "taille"]), min_size=1, max_size=6
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(MARKED),
    st.lists(st.tuples(_WORDS.map(" ".join), st.booleans()), min_size=1, max_size=6),
)
def test_no_answer_between_quoted_lines_is_lost(quote: Quote, answers: list[tuple[str, bool]]) -> None:
    body = f"Bonjour\n\n{quote.text}\n" + "".join(
        f"> Question {n} ?\n{blank * chr(10)}{answer.capitalize()}\n{blank * chr(10)}"
        for n, (answer, blank) in enumerate(answers)
    )
    assert split_newest(body).text.split() == f"Bonjour {' '.join(each.capitalize() for each, _ in answers)}".split()


def test_a_network_address_is_no_time_of_day() -> None:
    bounce = "<a@b.example>: host mx.b.example[198.51.100.18] said after MAIL FROM:<c@d.example>:\n    554 Blocked"
    assert split_newest(f"Not delivered.\n\n{bounce}").quoted == ""


def test_a_delimited_signature_is_set_apart() -> None:
    newest = split_newest("Bonjour,\nma commande ?\n-- \nJean Dupont\n06 12 34 56 78")
    assert (newest.text, newest.signature) == ("Bonjour,\nma commande ?", "--\nJean Dupont\n06 12 34 56 78")


@pytest.mark.parametrize(
    "text",
    [
        "Le livreur m'a écrit :\n« Votre colis est livré »\nmais je n'ai rien reçu.",
        "Il m'a été répondu le 3 mars :\nattendez. J'attends toujours.",
        "Nom : Jean Dupont\nE-mail : jean@x.example\nObjet : question\nDate : 3 mars\nMessage : où est mon colis ?",
        "Il me faut :\n- un livre\n- deux stylos\n\nMerci",
        "> 20 € pour la livraison, c'est trop cher.",
        "J'ai envoyé de mon iPhone une photo du colis, l'avez-vous ?\nMerci",
        "Sent from my desk at work this parcel never left, you said. Where is it?\nAnn\nThanks",
        "Bonjour\n\n--\nDeuxième question :" + "\nune ligne" * 20,
        "Am 3. März habe ich bestellt, Nummer 104233. Wann kommt es?",
        "On 3 March I wrote to you and nobody answered.",
        "Objet : commande 104233\nBonjour, où est-elle ?",
        "Cordialement,\nJean\ncommande 104 871 265",
    ],
)
def test_a_mail_without_quote_or_signature_loses_nothing(text: str) -> None:
    newest = split_newest(text)
    assert (newest.text, newest.quoted, newest.signature) == (text, "", "")


@pytest.mark.parametrize(
    "text",
    ["> Tout est cité\n> ici", "---------- Forwarded message ---------\nDe : C\nDate : 3 mars\nObjet : x\n\nBonjour"],
)
def test_a_mail_that_is_nothing_but_a_quote_is_its_own_text(text: str) -> None:
    assert split_newest(text).text == text


def test_our_own_training_mails_lose_only_marked_history_and_telephone_lines() -> None:
    mails = [
        json.loads(line) for file in DATA.glob("*/*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()
    ]
    sign = re.compile(
        r"^\s*(?:>|\||--|-{3,}|_{8,}|(?:de|from|von|da) ?:)|iphone|ipad|android|galaxy|samsung|huawei|windows|xiaomi|outlook|"
        r"gmx|telekom|^\s*(?:envoyé de|sent from|gesendet von|enviado des?de|inviato dal?)|"
        r"mobile|t[ée]l[ée]phone|telefon|m[óo]vil|cellulare|handy|tablet|appareil|\w+ mail|:$",
        re.I,
    )
    assert mails
    for each in mails:
        newest = split_newest(each["body"])
        taken = f"{newest.quoted}\n{newest.signature}".strip().split("\n")
        assert newest.text or not each["body"].strip()
        assert taken == [""] or sign.search(taken[0]) or sign.search(taken[-1]), each["id"]


_LINE = st.sampled_from(
    [*{line for quote in QUOTES for line in quote.text.split("\n")}, "", "Bonjour", "-- ", ">", "A> x"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_LINE, max_size=25))
def test_every_line_stays_somewhere(lines: list[str]) -> None:
    newest = split_newest("\n".join(lines))
    kept = "\n".join((newest.text, newest.quoted, newest.signature)).split("\n")
    assert sorted(line.rstrip() for line in lines if line.strip()) == sorted(line for line in kept if line.strip())
