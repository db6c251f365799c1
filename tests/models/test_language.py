"""Five languages, on sentences, on single words, and with the conversation's language as a hint."""

import pytest

from models import LanguageReader
from models.corpus import Example
from models.language import LanguageHead

SENTENCES = [
    ("fr", "je n'ai toujours rien reçu et ça fait dix jours"),
    ("en", "the lamp arrived broken, what now"),
    ("de", "ich warte seit zwei Wochen auf mein Paket"),
    ("es", "no me ha llegado el pedido todavía"),
    ("it", "non ho ancora ricevuto il mio pacco"),
    ("fr", "PUIS-JE RETOURNER CET ARTICLE"),
    ("en", "order CMD-2026-104233 where is it"),
]


@pytest.mark.parametrize(("language", "text"), SENTENCES)
def test_a_sentence(language: str, text: str) -> None:
    found, probability = LanguageReader().read(text)
    assert found == language
    assert 0.5 < probability <= 1


@pytest.mark.parametrize(
    ("language", "text"), [("fr", "bjr"), ("en", "hello"), ("de", "Hallo!"), ("es", "Hola"), ("it", "buongiorno")]
)
def test_a_greeting(language: str, text: str) -> None:
    assert LanguageReader().read(text)[0] == language


@pytest.mark.parametrize("hint", ["fr", "en", "de", "es", "it"])
def test_a_word_of_many_languages_stays_in_the_conversation(hint: str) -> None:
    assert LanguageReader().read("ok", hint)[0] == hint


def test_a_number_says_nothing_and_keeps_the_hint() -> None:
    assert LanguageReader().read("104871265", "de")[0] == "de"


def test_a_whole_sentence_overrules_the_hint() -> None:
    assert LanguageReader().read("where is my parcel please, I am still waiting", "fr")[0] == "en"


def test_the_head_needs_every_language() -> None:
    with pytest.raises(ValueError, match="it"):
        LanguageHead.fit([Example("bonjour", None, language) for language in ("fr", "en", "de", "es")])
