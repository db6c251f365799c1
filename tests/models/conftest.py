"""One encoder and one small set of shop talk for the whole folder."""

from pathlib import Path

import pytest

from models import Encoder, Example, MailExample, load_encoder

TURNS = {
    "order_tracking": [
        "où est ma commande",
        "ça arrive quand mon colis",
        "je n'ai pas de nouvelles de mon paquet",
        "c'est parti ou pas encore",
        "where is my parcel",
        "when will my order arrive",
        "wann kommt mein Paket",
        "dónde está mi pedido",
        "dov'è il mio ordine",
    ],
    "refund": [
        "je veux être remboursé",
        "quand vais-je revoir mon argent",
        "vous me devez 32 euros",
        "le remboursement n'est pas sur mon compte",
        "when do I get my money back",
        "my refund never came",
        "wann bekomme ich mein Geld zurück",
        "quiero el reembolso",
        "quando mi rimborsate",
    ],
    "invoice": [
        "il me faut une facture",
        "pouvez-vous m'envoyer la facture",
        "facture au nom de ma société",
        "je ne trouve pas ma facture",
        "I need an invoice",
        "send me the invoice please",
        "ich brauche eine Rechnung",
        "necesito la factura",
        "mi serve la fattura",
    ],
    "talk_to_human": [
        "je veux parler à un conseiller",
        "passez-moi quelqu'un",
        "un humain s'il vous plaît",
        "pouvez-vous me rappeler",
        "I want to talk to a real person",
        "get me an agent",
        "ich möchte mit einem Mitarbeiter sprechen",
        "quiero hablar con una persona",
        "vorrei parlare con un operatore",
    ],
    None: [
        "quel temps fait-il",
        "raconte-moi une blague",
        "qui a gagné le match",
        "what is the capital of Peru",
        "tell me a joke",
        "wie wird das Wetter",
        "cuéntame un chiste",
        "che tempo fa",
        "combien font deux et deux",
    ],
}
LANGUAGES = {"fr": 4, "en": 2, "de": 1, "es": 1, "it": 1}


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder()


@pytest.fixture(scope="session")
def turns() -> list[Example]:
    order = [language for language, number in LANGUAGES.items() for _ in range(number)]
    return [
        Example(text, label, "fr" if label is None else language, "t1")
        for label, texts in TURNS.items()
        for text, language in zip(texts, order, strict=True)
    ]


@pytest.fixture(scope="session")
def mails() -> list[MailExample]:
    def mail(subject: str, body: str, *motives: str, human: bool = False, language: str = "fr") -> MailExample:
        return MailExample(subject, body, language, motives, human, (), "t1")

    return [
        mail("Ma commande", "Bonjour,\nJe n'ai aucune nouvelle de mon colis.\nMerci, Jean", "order_tracking"),
        mail("colis", "il arrive quand mon paquet svp ? Je suis absent lundi.", "order_tracking"),
        mail("Parcel", "Hello, where is my parcel? Regards, Ann", "order_tracking", language="en"),
        mail("Remboursement", "J'ai renvoyé le livre et je n'ai pas revu mon argent.\nCordialement", "refund"),
        mail("argent", "Vous deviez me rembourser 20 euros. Rappelez-moi au 06 12 34 56 78.", "refund", human=True),
        mail("Money back", "I sent it back weeks ago and my refund never came.", "refund", language="en"),
        mail("Facture", "Madame, il me faudrait une facture au nom de mon association.", "invoice"),
        mail("Facture et argent", "Envoyez-moi la facture. Et quand serai-je remboursé ?", "invoice", "refund"),
        mail("Rechnung", "Guten Tag, bitte senden Sie mir die Rechnung.", "invoice", language="de"),
    ]


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"
