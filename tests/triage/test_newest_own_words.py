"""What a customer wrote is never taken for history or for a signature, in five languages."""

from __future__ import annotations

import time

import pytest

from triage import Newest, split_newest


def whole(text: str) -> Newest:
    return Newest(text, "", "")


@pytest.mark.parametrize(
    "text",
    [
        "Bonjour,\n----------\nCommande 4711\nMerci d'annuler la commande.",
        "Hello,\n----------\nOrder 4711\nPlease cancel it.",
        "Guten Tag,\n==========\nBestellung 4711\nBitte stornieren.",
        "Hola,\n__________\nPedido 4711\nQuiero cancelarlo.",
        "Buongiorno,\n**********\nOrdine 4711\nVorrei annullarlo.",
        "Bonjour,\n----------\nRobe rouge\nTaille M",
        "Hallo,\n----------\nFalsche Größe\nFalsche Farbe",
        "Bonjour,\n----------\nNouvelle adresse :\n12 rue des Lilas\n69003 Lyon",
        "Bonjour,\n----------\nVélo bleu\nhttps://shop.example/velo-bleu",
        "Bonjour,\n----------\nLe colis est cassé\njean@x.example",
        "Hello,\n----------\nThe phone is broken\njohn@x.example",
        "Guten Tag,\n----------\nDas Gerät ist kaputt\njoerg@x.example",
        "Hola,\n----------\nLa caja está rota\nana@x.example",
        "Buongiorno,\n----------\nIl telefono non funziona\nmarco@x.example",
        "Bonjour,\n----------\nVélo bleu reçu avec roue voilée\njean@x.example",
        "Hello,\n----------\nYou can reach me at 0171 234 567 89",
        "Bonjour,\n—\nMerci d'annuler la commande 4711.",
        "Bonjour,\n----------\nDeux livres\n03-03-2026\n----------\nJe les veux toujours.",
    ],
)
def test_a_request_below_a_rule_is_text(text: str) -> None:
    assert split_newest(text) == whole(text)


@pytest.mark.parametrize(
    "card",
    [
        "Jean Dupont\n06 12 34 56 78",
        "Jean Dupont\n12 rue des Lilas\n69003 Lyon",
        "John Smith\nToys Ltd\nwww.toys.example",
        "Jörg Weber\nWerkzeug Weber GmbH\nTel. 030 1234567",
        "Ana Ruiz\nana@ruiz.example",
        "Marco Bianchi\nBianchi S.r.l.\n+39 02 1234567",
        "Cordialement,\nJean Dupont",
        "Mit freundlichen Grüßen\nJörg Weber",
    ],
)
@pytest.mark.parametrize("rule", ["----------", "__________", "=========="])
def test_a_business_card_below_a_rule_is_a_signature(card: str, rule: str) -> None:
    newest = split_newest(f"Où est mon colis ?\n\n{rule}\n{card}")
    assert (newest.text, newest.signature) == ("Où est mon colis ?", f"{rule}\n{card}")


def test_a_name_below_a_rule_is_a_signature_after_a_greeting() -> None:
    newest = split_newest("Mon colis est perdu.\nCordialement,\n----------\nJean Dupont")
    assert newest.signature == "----------\nJean Dupont"


@pytest.mark.parametrize(
    "line",
    [
        "Envoyé par La Poste le 3 mars, jamais arrivé",
        "Envoyé par La Poste",
        "Envoyé par Orange le 3 mars, mon téléphone est resté au dépôt",
        "Envoyé par mail",
        "Envoyé de Lyon",
        "Envoyé depuis votre entrepôt",
        "Envoyé par Samsung",
        "Sent from the warehouse in Lyon on Monday, nothing came",
        "Sent from the warehouse in Lyon",
        "Sent by Royal Mail",
        "Sent with DHL",
        "Sent from Lyon",
        "Sent by mail on 3 March",
        "Versendet mit DHL am 3. März, nie angekommen",
        "Versendet mit DHL",
        "Gesendet von Hamburg aus",
        "Diese Nachricht wurde von Anna gesendet",
        "Von meinem Nachbarn gesendet",
        "Enviado con Correos el 3 de marzo",
        "Enviado desde el almacén de Madrid",
        "Enviado con SEUR",
        "Inviato con Poste Italiane il 3 marzo",
        "Inviato da Milano",
        "Inviato con il corriere BRT",
        "Envoyé depuis mon iPhone : voici les photos",
        "Inviato dal cellulare un pacco mai arrivato",
        "Sent by my sister from her phone",
        "Gesendet von meiner Schwester mit dem Handy",
    ],
)
def test_how_a_parcel_was_sent_is_no_line_of_a_telephone(line: str) -> None:
    text = f"Colis 4711 perdu.\n{line}"
    assert split_newest(text) == whole(text)


@pytest.mark.parametrize(
    "line",
    [
        "Envoyé depuis ma messagerie LaPoste", "Envoyé depuis l'application Mail Orange", "Envoyé depuis Orange",
        "Envoyé de mon mobile SFR", "Envoyé d'un iPhone", "Envoyé par Outlook pour Android", "Envoyé depuis Free Mail",
        "Envoyé à partir d'Outlook pour Android", "Gesendet von unterwegs",
        "Envoyé avec la messagerie sécurisée ProtonMail", "Envoyé depuis ma tablette, veuillez excuser les fautes",
        "Sent from Mail for Windows", "Sent with Proton Mail secure email.", "Sent from my Huawei phone",
        "Sent from Yahoo Mail on Android", "Sent from my T-Mobile 4G LTE Device", "Sent from my phone. Please excuse my brevity",
        "Gesendet mit der WEB.DE Mail App", "Gesendet mit der Telekom Mail App", "Von meinem Handy gesendet",
        "Gesendet von meinem Samsung-Gerät", "Gesendet von Mail für Windows",
        "Enviado desde mi móvil", "Enviado desde mi Xiaomi", "Enviado con la app de correo de Vodafone Mail",
        "Enviado desde Gmail", "Enviado desde Correo para Windows",
        "Inviato da Libero Mail", "Inviato dal cellulare, scusate gli errori", "Inviato dal mio telefono",
        "Inviato da Blue Mail", "Inviato dall'app Mail per iPhone",
    ],
)  # fmt: skip
def test_the_line_of_a_device_or_a_mail_program_is_a_signature(line: str) -> None:
    newest = split_newest(f"Où est mon colis ?\n\n{line}")
    assert (newest.text, newest.signature) == ("Où est mon colis ?", line)


STORIES = [
    "Le 12 novembre 2026, votre collègue Anne m'a écrit :",
    "Le 12 novembre 2026 à 10:12, votre collègue Anne m'a écrit :",
    "On 12 November your agent Anne wrote:",
    "On 12 November 2026 at 10:12 your agent Anne wrote to me:",
    "Am 12. November 2026 schrieb Ihre Kollegin Anne:",
    "Am 12. November hat mir Anne geschrieben:",
    "El 12 de noviembre de 2026 su compañera Ana escribió:",
    "El 12 de noviembre a las 10:12 su compañera Ana me escribió:",
    "Il 12 novembre 2026 la vostra collega Anna ha scritto:",
    "Il 12.11.2026 Anna mi ha scritto:",
]


@pytest.mark.parametrize("story", STORIES)
def test_who_tells_of_a_mail_keeps_the_own_words_below(story: str) -> None:
    text = (
        f"Bonjour,\n{story}\n« Votre colis part demain. »\n\nJe n'ai toujours rien reçu. Remboursez la commande 4711."
    )
    assert split_newest(text) == whole(text)
    unmarked = text.replace("« ", "").replace(" »", "")
    assert split_newest(unmarked) == whole(unmarked)


@pytest.mark.parametrize("story", STORIES)
def test_a_date_alone_is_enough_above_lines_that_are_marked(story: str) -> None:
    newest = split_newest(f"Bonjour,\n\n{story}\n> Votre colis part demain.\n\nJe n'ai rien reçu.")
    assert newest.text == "Bonjour,\n\nJe n'ai rien reçu."
    assert newest.quoted == f"{story}\n> Votre colis part demain."


@pytest.mark.parametrize(
    "line",
    [
        "Le lundi 3 mars 2026 à 10 h 12, Librairie a écrit :",
        "On 03/03/2026 10:12, Shop wrote:",
        "On Monday, 3 March 2026 at 10 AM Shop wrote:",
        "Am 03.03.26 um 10.12 schrieb Laden:",
        "El 03/03/2026 a las 10:12, Librería escribió:",
        "Il 03/03/2026 alle ore 10.12 Libreria ha scritto:",
        "Le 3 mars 2026, Librairie <a@b.example> a écrit :",
        "Zitat von c@s.example :",
    ],
)
def test_a_time_or_an_address_is_enough_above_lines_that_are_not_marked(line: str) -> None:
    newest = split_newest(f"Toujours rien.\n\n{line}\nBonjour, votre colis part.\nBien à vous")
    assert newest.text == "Toujours rien."


@pytest.mark.parametrize(
    "line",
    [
        "3 mars 2025, 10:12 de c@s.example :",
        "Mar 3, 2025, 10:12 by c@s.example:",
        "3. März 2025, 10:12 von c@s.example:",
        "3 mar 2025, 10:12 por c@s.example:",
        "3 mar 2025, 10:12 da c@s.example:",
        "Mon, 3 Mar 2025 10:12, Shop <c@s.example>:",
        "---- On Mon, 03 Mar 2025 10:12:00 +0100 Shop <c@s.example> wrote ----",
    ],
)
def test_the_line_right_above_history_is_no_part_of_it(line: str) -> None:
    newest = split_newest(f"Annulez la commande 4711, merci\n{line}\nBonjour")
    assert (newest.text, newest.quoted) == ("Annulez la commande 4711, merci", f"{line}\nBonjour")


def test_older_history_within_history_ends_nothing() -> None:
    quoted = "On Mon, Mar 3, 2025 at 10:12 AM, Shop<c@s.example> wrote:   Your parcel left.\n> Older\nKind regards"
    newest = split_newest(f"Still nothing.\n\n{quoted}")
    assert (newest.text, newest.quoted) == ("Still nothing.", quoted)


def test_old_text_of_any_length_follows_on_the_line() -> None:
    newest = split_newest(f"Toujours rien.\n\nLe 3 mars 2025 à 10:12, S<c@s.example> a écrit :   {'Bonjour ' * 500}")
    assert newest.text == "Toujours rien."


@pytest.mark.parametrize(
    "journey",
    [
        "De: Paris\nPour: Lyon\nDate: 3 mars",
        "From: Paris\nTo: Lyon\nDate: 3 March",
        "Von: Köln\nAn: Berlin\nDatum: 3. März",
        "De: Madrid\nPara: Sevilla\nFecha: 3 de marzo",
        "Da: Roma\nA: Milano\nData: 3 marzo",
    ],
)
def test_a_journey_is_no_header_of_a_mail(journey: str) -> None:
    text = f"Bonjour,\n\n{journey}\n\nMerci de livrer le 4, et annuler la commande 4711."
    assert split_newest(text) == whole(text)
    assert split_newest(f"Bonjour,\n\n{journey}\n> Merci").text == "Bonjour,"
    assert split_newest(f"Bonjour,\n\n{journey} <a@b.example>\n\nMerci").text == "Bonjour,"


@pytest.mark.parametrize(
    "line",
    [
        "Le 3 mars à 10:12, le livreur a écrit : absent",
        "Le colis de Shop <c@s.example> a été écrit : non",
        "Mail du 3 mars 2025 à 10:12 de c@s.example : aucune réponse",
        "J'ai reçu le 3 mars 2025, 10:12 un message de c@s.example :",
        "---- Commande du 3 mars ----",
    ],
)
def test_a_sentence_with_a_time_or_an_address_is_text(line: str) -> None:
    text = f"Bonjour,\n{line}\nJe n'ai rien reçu."
    assert split_newest(text) == whole(text)


@pytest.mark.parametrize(
    "piece",
    [
        "On Mon, 3 Mar 2025 at 10:12 ", "Le 3 mars 10:12 <a@b> ", "Am 3. 10:12 schrieb schrieb <a@b>: ", "El <", "3 2025 1:12 ",
        "-- wrote -", "---- On 10:12 wrote ", "Envoyé de mon ", "sent from a b c d ", "envoyé de l'", "Zitat von ", "wrote: ",
        "06 12 34 ", "+33 ", "www.a", "1 de ", "a@", "(", "0", "von ", "Sent from my iPhone ", "a écrit : ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", ":", " --", " gesendet", "!"])
def test_time_is_linear_in_a_hostile_body(piece: str, end: str) -> None:
    line = (piece * 600)[:590]
    rows = "\n".join([f"{line}{end}"] * 300)
    started = time.process_time()
    for body in (
        f"x\n{piece * 20_000}{end}",
        f"x\n{rows}",
        f"x\n----------\n{(piece * 40)[:78]}{end}",
        f"x\n{line}{end}",
    ):
        split_newest(body)
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    "quote",
    [
        "Le 03/03/2025 à 10:12, Votre Boutique a écrit :\nVotre colis part demain.",
        "On Mon, 3 Mar 2025 at 10:12, Your Shop wrote:\nYour parcel leaves tomorrow.",
        "Am Mo., 3. März 2025 um 10:12 Uhr schrieb Ihr Kundenservice:\nIhr Paket geht morgen ab.",
        "El 3/3/2025 a las 10:12, Su tienda escribió:\nSu paquete sale mañana.",
        "Il 03/03/2025 10:12, Vostro Negozio ha scritto:\nIl pacco parte domani.",
    ],
)
def test_a_shop_called_yours_is_still_quoted(quote: str) -> None:
    assert split_newest(f"Merci.\n\n{quote}").text == "Merci."


@pytest.mark.parametrize(
    "story",
    [
        "Le 3 mars à 10h12, le livreur a écrit :\nDestinataire absent. Or j'étais là !",
        "On Monday at 10:12 the courier wrote:\nNobody home. I was there!",
        "Am 3. März um 10:12 schrieb DHL:\nZustellung erfolgt. Ich habe nichts bekommen!",
        "El 3 de marzo a las 10:12 el repartidor escribió:\nAusente. ¡Estaba en casa!",
        "Il 3 marzo alle 10:12 il corriere ha scritto:\nAssente. Ero a casa!",
        "From: Mary\nTo: John\nDate: 24 December\nSubject: happy birthday\nPlease send it on time, order 104233.",
        "Von: Oma\nAn: Lisa\nDatum: 24.12.\nBetreff: Geburtstag\nBitte pünktlich schicken.",
        "Nouvelle adresse\n----------\nJean Martin\n12 rue des Lilas\n69003 Lyon",
        "meine neue Nummer:\n________\n+49 170 1234567",
        "Folgende Artikel fehlen:\n--\nTasse blau\nTeller weiß",
        "Please deliver here instead:\n\n--\n14 High Street",
    ],
)
def test_what_only_looks_like_a_programs_line_is_the_customers(story: str) -> None:
    assert split_newest(f"Bonjour,\n{story}").text == f"Bonjour,\n{story}"
