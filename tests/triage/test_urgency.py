"""What makes a mail urgent: the stated points, in five languages."""

from __future__ import annotations

import tomllib
from datetime import timedelta

import pytest

from triage.urgency import DATA, POINTS, Contact, measure_urgency

LANGUAGES = ("fr", "en", "de", "es", "it")


@pytest.mark.parametrize(
    ("language", "text", "reasons"),
    [
        ("fr", "Bonjour, où est mon colis ?", ()),
        ("fr", "Sans réponse, je saisis mon avocat et le médiateur.", ("legal",)),
        ("fr", "C’est INADMISSIBLE, il me le faut avant vendredi", ("anger", "deadline")),
        ("fr", "Un délai si court me convient", ()),
        ("en", "I will see you in court", ("legal",)),
        ("en", "This is unacceptable, I need it within 48 hours", ("anger", "deadline")),
        ("en", "A book about tennis courts", ()),
        ("de", "Sonst schalte ich die Verbraucherzentrale ein", ("legal",)),
        ("de", "Eine Frechheit, ich brauche es dringend", ("anger", "deadline")),
        ("es", "Pondré una denuncia", ("legal",)),
        ("es", "Es inaceptable, lo necesito cuanto antes", ("anger", "deadline")),
        ("it", "Mi rivolgo al mio avvocato", ("legal",)),
        ("it", "È inaccettabile, mi serve entro venerdì", ("anger", "deadline")),
        ("fr", "MAIS OÙ EST DONC MON COLIS QUE J’ATTENDS DEPUIS DIX JOURS", ("anger",)),
        ("fr", "Alors !!!", ("anger",)),
        ("fr", "OK", ()),
        ("pt", "inaceitável, advogado", ()),
    ],
)
def test_words_of_anger_deadlines_and_legal_threats(language: str, text: str, reasons: tuple[str, ...]) -> None:
    found = measure_urgency(text, language, "order_tracking", Contact())
    assert found.reasons == reasons
    assert found.score == sum(POINTS[reason] for reason in reasons)


@pytest.mark.parametrize(
    ("motive", "contact", "text", "score", "urgent"),
    [
        ("order_tracking", Contact(), "", 0, False),
        ("delivery_problem", Contact(), "", 15, False),
        ("order_tracking", Contact(age=timedelta(days=2)), "", 20, False),
        ("order_tracking", Contact(earlier_mails=1), "", 20, False),
        ("delivery_problem", Contact(earlier_mails=4), "", 35, False),
        ("order_tracking", Contact(timedelta(days=3), 2), "", 40, True),
        ("delivery_problem", Contact(), "scandaleux", 40, True),
        ("delivery_problem", Contact(timedelta(days=9), 9), "scandaleux, urgent, tribunal !!!", 100, True),
    ],
)
def test_points_add_up(motive: str, contact: Contact, text: str, score: int, urgent: bool) -> None:
    found = measure_urgency(text, "fr", motive, contact)
    assert (found.score, found.urgent) == (score, urgent)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_all_three_lists_written_as_they_are_matched(language: str) -> None:
    lists = tomllib.loads((DATA / language / "urgency.toml").read_text(encoding="utf-8"))
    assert set(lists) == {"anger", "deadline", "legal"}
    for pattern in (each for patterns in lists.values() for each in patterns):
        assert pattern == pattern.casefold()
        assert pattern.isascii(), f"{pattern}: text is compared without accents"
