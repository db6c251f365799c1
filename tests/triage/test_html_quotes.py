"""What of an HTML mail is a quote: what a mail program marked, not what its writer indented."""

from __future__ import annotations

import time

import pytest

from triage import split_newest
from triage.html_text import html_to_text

INDENTED = [
    'style="margin:0 0 0 40px;border:none;padding:0px"',  # Gmail, "Indent more"
    'class="webkit-indent-blockquote" style="margin: 0 0 0 40px; border: none; padding: 0px;"',  # Apple Mail
    'class="gmail_quote" style="BORDER: NONE"',
    'style="border:0"',
    'style="border: 0px none !important"',
    'style="border-left:none; padding-left:1ex"',
    'style="border-left: medium none"',
    'style="border-style: none"',
    'style="border-width:1px 0"',
    'style="padding-left:40px"',
    'style="margin-left:40px"',
    "",
]
SENTENCES = [
    ("Bonjour,", "voici ma demande :", "annulez la commande 4711", "Merci"),
    ("Hello,", "my request:", "cancel order 4711", "Thanks"),
    ("Guten Tag,", "meine Bitte:", "stornieren Sie die Bestellung 4711", "Danke"),
    ("Hola,", "esto es lo que pido:", "anulen el pedido 4711", "Gracias"),
    ("Buongiorno,", "ecco la mia richiesta:", "annullate l'ordine 4711", "Grazie"),
]


@pytest.mark.parametrize("attributes", INDENTED)
@pytest.mark.parametrize("sentences", SENTENCES, ids=lambda sentences: sentences[0])
def test_what_is_only_indented_is_text(attributes: str, sentences: tuple[str, str, str, str]) -> None:
    hello, request, indented, thanks = sentences
    text = html_to_text(f"{hello}<div>{request}</div><blockquote {attributes}>{indented}</blockquote>{thanks}")
    newest = split_newest(text)
    assert [line for line in newest.text.split("\n") if line] == list(sentences)
    assert newest.quoted == ""


@pytest.mark.parametrize(
    "attributes",
    [
        'type="cite"',
        'cite="mid:1@shop.example"',
        'class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px #ccc solid;padding-left:1ex"',
        'class="gmail_quote"',
        'class="tutanota_quote"',
        'style="border-left:solid #CCCCCC 1.0pt"',
        'style="border:none;border-left:solid #CCCCCC 1.0pt;padding:0cm 0cm 0cm 6.0pt"',  # Outlook
        'style="border-left: 2px solid rgb(0 0 0); margin: 0"',
        'style="border: 1px solid blue"',
        'style="border-width:0 0 0 1px;border-style:none none none solid"',
        'style="border-left-width:1px;border-left-style:solid"',
    ],
)
def test_what_a_mail_program_marked_is_history(attributes: str) -> None:
    newest = split_newest(html_to_text(f"<p>Où est-il ?</p><blockquote {attributes}>Votre colis part</blockquote>"))
    assert (newest.text, newest.quoted) == ("Où est-il ?", "> Votre colis part")


def test_history_in_a_container_is_history_with_all_that_is_indented_in_it() -> None:
    html = (
        '<p>Où est-il ?</p><div class="gmail_quote">Votre colis part :'
        '<blockquote style="margin:0 0 0 40px;border:none;padding:0px">demain</blockquote></div>'
    )
    newest = split_newest(html_to_text(html))
    assert newest.text == "Où est-il ?"
    assert "> demain" in newest.quoted


@pytest.mark.parametrize(
    "style", ["border:", "(", "border:(", "border-left:0 ", ";", "border-style:none none;", "border:0"]
)
def test_time_is_linear_in_a_hostile_style(style: str) -> None:
    started = time.process_time()
    html_to_text(f'<p>x</p><blockquote style="{style * 20_000}">y</blockquote>')
    html_to_text(f'<div class="gmail_quote"><blockquote style="{style}">' * 250 + "y")
    assert time.process_time() - started < 3
