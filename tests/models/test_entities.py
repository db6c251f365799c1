"""Order numbers as people type them, and numbers that are none."""

import pytest

from models import find_entities, find_order_numbers
from models.entities import without_entities


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("cmd 2026 104233", ["CMD-2026-104233"]),
        ("CMD2026104233", ["CMD-2026-104233"]),
        ("ma commande est la CMD-\n2026-104 233.", ["CMD-2026-104233"]),
        ("cmd_2026_104233", ["CMD-2026-104233"]),
        ("n° 2026-116643", ["CMD-2026-116643"]),
        ("commande n°2026 116 643", ["CMD-2026-116643"]),
        ("104871265", ["104871265"]),
        ("cde n° 104 233 877", ["104233877"]),
        ("voila mon numero c'est le 105.224.871", ["105224871"]),
        ("Bestellung 104-390-022 bitte", ["104390022"]),
        ("n° 104\n871 265", ["104871265"]),
        ("commande 10 48 71 265", ["104871265"]),
        ("104233", ["104233"]),
        ("104 233", ["104233"]),
        ("ma commande 104233 svp", ["104233"]),
        ("order #104233", ["104233"]),
        ("pedido nº104233", ["104233"]),
        ("l'ordine n. 104233", ["104233"]),
        ("here you go: 417902", ["417902"]),
        ("commandes 104233 et 104234", ["104233", "104234"]),
        ("commande 104871265, tel 06 12 34 56 78, 59,90 €", ["104871265"]),
        ("annuler la commande du telephone fixe 104665803", ["104665803"]),
        ("pedido 612345678", ["612345678"]),
        ("612345678", ["612345678"]),
        ("J'ai bien recu la 712 345 678 merci", ["712345678"]),
        ("il me faut la facture 104233877", ["104233877"]),
        ("NECESITO FACTURA DEL 204 901 556 CON MI NIF 44000123K", ["204901556"]),
        ("JE VEUX ANNULER LA 131455028", ["131455028"]),
        ("téléphonez-moi : 07 55 61 30 84. 104 639 950. Merci", ["104639950"]),
        ("rien sur le compte. 104228190", ["104228190"]),
        ("Quel est le numéro de suivi pour 104233877 ?", ["104233877"]),
        ("Mi pedido no llega. Es el 712345678. Gracias", ["712345678"]),
        ("Necesito factura del 912345678 para hoy, gracias", ["912345678"]),
        ("Was ist los? Ich las gestern, 712345678 sei da", ["712345678"]),
        ("Où est ma facture ? 104233", ["104233"]),
        ("I placed an order from my account, 104233 I think, and nothing came", ["104233"]),
        ("Quiero devolver la chaqueta verde 104233877", ["104233877"]),
        ("Por favor anulen 813 660 205, ya no lo necesito.", ["813660205"]),
        ("accueil Datavia. Réf 2026-125010.", ["CMD-2026-125010"]),
        ("les chaussures (110553) ne sont pas là", ["110553"]),
        ("laissez partir la 109207", ["109207"]),
        ("cmd 2026 104233 et cmd-2026-104233", ["CMD-2026-104233"]),
    ],
)
def test_an_order_number_is_found_and_normalised(text: str, numbers: list[str]) -> None:
    assert list(find_order_numbers(text)) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "tel 06 12 34 56 78",
        "appelez-moi au 0612345678",
        "+33 6 12 34 56 78",
        "+49 151 5550 1177",
        "llámame al 612 345 678",
        "No quiero esperar más, gracias. Toño, 687 555 220",
        "Por favor, quiero que me devuelvan la llamada al 613 660 205, ya no puedo esperar",
        "Numéro de suivi :\n104233877",
        "Kundennummer:\n482913",
        "N° de téléphone\n712345678",
        "Móvil:\n612345678",
        "die 250 000 anderen Kunden",
        "recibido el 151226",
        "Ma carte de fidélité n° 482913",
        "My PIN (482913) does not work",
        "RCS 552 081 317",
        "passeport AB 123456789",
        "En el despacho, 91 555 02 84",
        "le code du casier (558204) ne marche pas",
        "il me faut la facture 104233",
        "contrat n° 55-1902",
        "call me on 07911 123456",
        "ISBN 978-2-07-036822-8",
        "9782070368228",
        "TVA FR 40 303265045",
        "SIREN 732 829 320",
        "our register number is CHE-114.882.305",
        "IBAN FR76 3000 6000 0112 3456 7890 189",
        "colis 6A12345678901",
        "suivi XY123456789FR",
        "n° de suivi 104871265",
        "facture n° 104233",
        "mon code est 482913",
        "carte 4970 1012 3456 7890",
        "75011 Paris",
        "le 12/03/2026 à 18h04",
        "j'ai payé 1 234 567,50 €",
        "j'en ai vu 104233 hier",
        "lot de 250000",
    ],
)
def test_other_numbers_are_no_orders(text: str) -> None:
    assert find_order_numbers(text) == ()


def test_entities_point_into_the_text() -> None:
    text = "Commande 104 871 265 pour Lucie@Example.org, 37000 Tours"
    found = {entity.kind: entity for entity in find_entities(text)}
    assert found["order_number"].value == "104871265"
    assert text[found["order_number"].start : found["order_number"].end] == "104 871 265"
    assert found["email"].value == "lucie@example.org"
    assert text[found["postcode"].start : found["postcode"].end] == "37000"


@pytest.mark.parametrize(
    ("text", "value"), [("69003", "69003"), ("code postal 10115", "10115"), ("sw1a 1aa", "SW1A 1AA")]
)
def test_postcodes(text: str, value: str) -> None:
    assert [entity.value for entity in find_entities(text) if entity.kind == "postcode"] == [value]


def test_a_number_inside_an_address_is_no_order() -> None:
    assert [entity.kind for entity in find_entities("104871265@example.org")] == ["email"]


def test_heads_read_the_words_and_not_the_number() -> None:
    assert "104871265" not in without_entities("où est 104871265 ?")
    assert without_entities("104871265") == "104871265"
