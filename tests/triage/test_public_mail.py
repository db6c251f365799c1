"""The public corpus of about 900 mails that broke other readers; what is reached today may not get worse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models import load_encoder, load_understanding
from models.artifacts import ArtifactError
from tests.bench.mail import (
    TRIMMERS,
    RawMail,
    html_replies,
    measure_machine,
    measure_newest,
    measure_reading,
    ours,
    read_corpus,
)
from tests.triage.reader import Reader, mail
from triage import read_sources, triage

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


def test_newest_text_beats_the_libraries_in_every_corpus(corpus: list[RawMail]) -> None:
    mine = measure_newest(corpus, TRIMMERS["Comptoir, text"])
    kept = measure_newest(corpus, TRIMMERS["Comptoir, text and signature"])
    for name in ("quotequail", "mail-parser-reply, body", "mail-parser-reply, full body"):
        theirs = measure_newest(corpus, TRIMMERS[name])
        for source, (exact, f1, _) in theirs.items():
            assert max(mine[source][0], kept[source][0]) >= exact, (name, source)
            assert max(mine[source][1], kept[source][1]) >= f1, (name, source)
    assert mine["all"][0] >= 0.8
    assert mine["all"][1] >= 0.92
    right, theirs_html, total = html_replies(corpus)
    assert right >= max(theirs_html, total - 1)


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
