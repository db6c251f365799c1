"""The newest text apart from history and signature, in five languages and in the habits of the usual mail programs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage import split_newest

DATA = Path(__file__).resolve().parents[2] / "triage" / "data"

INTRODUCTIONS = {
    "gmail fr": "Le lun. 3 mars 2026 à 10:12, Librairie <a@b.example> a écrit :\n\n> Bonjour",
    "gmail fr, broken over three lines": 'Le 4 janv. 2026 19:03, "Librairie"\n<a@b.example>\na écrit :\n\n> Bonjour',
    "yahoo fr, no marks": "Le lundi 3 mars 2026 à 10:12:33 UTC+1, Librairie <a@b.example> a écrit : \n\nBonjour",
    "outlook fr": "-----Message d'origine-----\nDe : Librairie\nEnvoyé : lundi 3 mars 2026\nÀ : Jean\nObjet : Colis\n\nBonjour",
    "outlook web fr": "________________________________\nDe : Librairie <a@b.example>\nEnvoyé : lundi\nÀ : J\nObjet : C\n\nBonjour",
    "orange": '> Message du 03/03/26 10:12\n> De : "Librairie" <a@b.example>\n> A : j@orange.example\n> Objet : C\n>\n> Bonjour',
    "zimbra (free)": 'De: "Librairie" <a@b.example>\nÀ: "J" <j@free.example>\nEnvoyé: Lundi 3 Mars 2026\nObjet: C\n\nBonjour',
    "outlook, no space after the colon": "De : L<mailto:a@b.example>\nEnvoyé le :jeudi 5 mars\nÀ : x\nObjet :C\n\nBonjour",
    "bare marks": "> Bonjour\n> Votre colis arrive",
    "forward fr": "---------- Message transféré ---------\nDe : C <a@b.example>\nDate: 3 mars\nObjet: C\nÀ: J\n\nBonjour",
    "gmail en": "On Mon, 3 Mar 2026 at 10:12, Shop <a@b.example> wrote:\n\n> Hello",
    "gmail en, broken": "On Mon, 3 Mar 2026 at 10:12, Shop via Long Name <\na@b.example> wrote:\n\n> Hello",
    "outlook en": "From: Shop <a@b.example>\nSent: Monday, March 3, 2026 10:12 AM\nTo: John\nSubject: Parcel\n\nHello",
    "apple en": "> On 3 Mar 2026, at 10:12, Shop <a@b.example> wrote:\n> \n> Hello",
    "gmail de": "Am Mo., 3. März 2026 um 10:12 Uhr schrieb Laden <a@b.example>:\n\n> Guten Tag",
    "writer first de": "Laden <a@b.example> schrieb am Mo., 3. März 2026\num 10:12 Uhr:\n\n> Guten Tag",
    "gmx": 'Gesendet: Montag, 03. März 2026 um 10:12 Uhr\nVon: "Laden" <a@b.example>\nAn: h@gmx.example\nBetreff: P\n\nGuten Tag',
    "outlook de": "-----Ursprüngliche Nachricht-----\nVon: Laden\nGesendet: Montag\nAn: H\nBetreff: P\n\nGuten Tag",
    "gmail es": "El lun, 3 mar 2026 a las 10:12, Librería (<a@b.example>) escribió:\n\n> Hola",
    "outlook es": "De: Librería <a@b.example>\nEnviado: lunes, 3 de marzo de 2026 10:12\nPara: J\nAsunto: P\n\nHola",
    "gmail it": "Il giorno lun 3 mar 2026 alle ore 10:12 Libreria <a@b.example> ha scritto:\n\n> Ciao",
    "libero": 'Il 03/03/2026 10:12 Libreria <a@b.example> ha scritto:\n\nCiao',
    "outlook it": "-----Messaggio originale-----\nDa: Libreria\nInviato: lunedì 3 marzo\nA: G\nOggetto: P\n\nCiao",
    "another language": "tir. 18. apr. 2026 kl. 13:09 skrev Butikk <a@b.example\n>:\n\n> Hei",
}  # fmt: skip


@pytest.mark.parametrize("habit", INTRODUCTIONS)
def test_history_is_set_apart_and_kept(habit: str) -> None:
    newest = split_newest(f"Toujours rien reçu !\nJean\n\n{INTRODUCTIONS[habit]}\n")
    assert newest.text == "Toujours rien reçu !\nJean"
    assert newest.quoted == "\n".join(line.rstrip() for line in INTRODUCTIONS[habit].split("\n"))
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
        r"^\s*(?:>|\||--|-{3,}|_{8,}|(?:de|from|von|da) ?:)|iphone|ipad|android|galaxy|samsung|xiaomi|outlook|gmx|telekom|mobile|"
        r"t[ée]l[ée]phone|telefon|m[óo]vil|handy|tablet|appareil|\w+ mail|:$",
        re.I,
    )
    assert mails
    for each in mails:
        newest = split_newest(each["body"])
        taken = f"{newest.quoted}\n{newest.signature}".strip().split("\n")
        assert newest.text or not each["body"].strip()
        assert taken == [""] or sign.search(taken[0]) or sign.search(taken[-1]), each["id"]


_LINE = st.sampled_from(
    [*{line for text in INTRODUCTIONS.values() for line in text.split("\n")}, "", "Bonjour", "-- ", ">", "A> x"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_LINE, max_size=25))
def test_every_line_stays_somewhere(lines: list[str]) -> None:
    newest = split_newest("\n".join(lines))
    kept = "\n".join((newest.text, newest.quoted, newest.signature)).split("\n")
    assert sorted(line.rstrip() for line in lines if line.strip()) == sorted(line for line in kept if line.strip())
