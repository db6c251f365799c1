"""The public corpus of about 900 mails that broke other readers; what is reached today may not get worse."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import pytest

from models import load_encoder, load_understanding
from models.artifacts import ArtifactError
from tests.bench.mail import (
    TRIMMERS,
    Figures,
    RawMail,
    Reply,
    html_replies,
    measure_machine,
    measure_reading,
    measure_replies,
    ours,
    own_replies,
    read_corpus,
    replies,
    shortfalls,
    unquoted,
)
from tests.triage.reader import Reader, mail
from triage import read_sources, split_newest, triage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def corpus(public_data: Path) -> list[RawMail]:
    return read_corpus(public_data / "mail")


def test_every_mail_is_read(corpus: list[RawMail]) -> None:
    reading = measure_reading(corpus, ours)
    assert reading.exceptions == 0
    assert reading.found >= 0.93 * reading.mails
    assert reading.subjects >= 0.96 * reading.stated
    assert reading.replaced == 0


def test_stated_attachments_are_found(corpus: list[RawMail]) -> None:
    stated = [
        each
        for each in corpus
        if each.source == "php_mime_mail_parser" and each.expected.get("attachments") is not None
    ]
    right = sum(
        [file["name"] for file in triage(each.raw, Reader()).to_dict()["attachments"]]
        == [file["filename"] for file in each.expected["attachments"]]
        for each in stated
    )
    assert stated
    assert right >= 0.85 * len(stated)


def newest_of(found: list[Reply], by: Callable[[Reply], str]) -> dict[str, Figures]:
    return {name: measure_replies(found, trimmer, by=by) for name, trimmer in TRIMMERS.items()}


@pytest.mark.parametrize("column", ["source", "language"])
def test_newest_text_is_behind_no_library_in_any_corpus_or_language(corpus: list[RawMail], column: str) -> None:
    rows = newest_of(list(replies(corpus)), attrgetter(column))
    assert shortfalls(rows) == []
    exact, f1, _ = rows["Comptoir, text"]["all"]
    assert exact >= 0.8
    assert f1 >= 0.92


def test_newest_text_above_the_quote_of_every_program_is_behind_no_library_in_any_language() -> None:
    rows = newest_of(list(own_replies(bodies=10)), attrgetter("language"))
    assert {"fr", "en", "de", "es", "it"} <= rows["quotequail"].keys()
    assert shortfalls(rows) == []
    assert {exact for exact, _, _ in rows["Comptoir, text and signature"].values()} == {1.0}


def test_every_html_reply_is_trimmed_exactly(corpus: list[RawMail]) -> None:
    right = html_replies(corpus)
    assert right["Comptoir"] == right["all"] > 0


_BEGINS_A_SIGNATURE = re.compile(
    r"\s*(?:--|—|––|__|[_*=~-]{8,})\s*$|(?:envoyé de|sent from|gesendet von|enviado des?de|inviato dal?) |"
    r".*(?:iphone|ipad|android|galaxy|samsung|huawei|windows|xiaomi|outlook|yahoo|gmx|"
    r"telekom|orange|mobile|tablet|handy|cellulare|\w+ mail|virus)",
    re.I,
)


def test_of_a_mail_without_a_quote_only_signatures_are_taken_away(corpus: list[RawMail]) -> None:
    texts = unquoted(corpus)
    assert len(texts) > 3000
    for text in texts:
        newest = split_newest(text)
        assert newest.quoted == "", text
        assert sorted(f"{newest.text}\n{newest.signature}".split()) == sorted(text.split())
        assert not newest.signature or _BEGINS_A_SIGNATURE.match(newest.signature.split("\n")[0]), text


def test_machine_mail_is_caught_and_people_are_not(corpus: list[RawMail]) -> None:
    figures = measure_machine(corpus)
    assert figures.never_answered >= 0.99 * figures.machine
    assert figures.ignored >= 0.97 * figures.machine
    assert (figures.false_ignored, figures.false_withheld) == (0, 0)


def test_every_file_gives_at_least_one_json_line(public_data: Path) -> None:
    files = [path for path in (public_data / "mail").rglob("*") if path.is_file()]
    named = {name.partition("#")[0] for name, raw in read_sources(files) if json.dumps(triage(raw, Reader()).to_dict())}
    assert named == {str(path) for path in files}


def test_the_real_understanding_sorts_a_mail() -> None:
    try:
        understanding = load_understanding(ROOT / "models" / "artifacts", load_encoder())
    except (ArtifactError, FileNotFoundError) as error:
        pytest.skip(f"nothing is trained yet, run `make train`: {error}")
    raw = mail(
        "Bonjour,\nOù en est ma commande CMD-2026-104233 ? Je ne vois plus rien dans le suivi du colis. "
        "Je souhaite parler à un conseiller.\nJean",
        content_type="text/plain; charset=utf-8",
    )
    result = triage(raw, understanding)
    assert result.sorting.language == "fr"
    assert result.sorting.order_numbers == ("CMD-2026-104233",)
    assert result.sorting.primary in {"order_tracking", "delivery_problem"}
    assert result.decision.action == "queue"
