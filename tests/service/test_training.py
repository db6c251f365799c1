"""Training says what is wrong with a file before it spends minutes on the others."""

from pathlib import Path

import pytest
from rich.console import Console

import faq_kb
import models
from models import Example
from service import training
from service.training_error import TrainingError
from service.understanding import open_faq_search
from tests.service.conftest import settings_for


def test_a_broken_file_is_named_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mails" / "fr").mkdir(parents=True)
    (tmp_path / "mails" / "fr" / "m1.jsonl").write_text('{"body": "où est mon colis"\n', encoding="utf-8")
    monkeypatch.setattr(training, "MAILS_DIR", tmp_path / "mails")
    settings = settings_for(tmp_path, artifacts_dir=tmp_path / "artifacts")

    with pytest.raises(TrainingError, match=r"m1\.jsonl:1: not JSON"):
        training.train_all(settings, Console(quiet=True))

    assert not (tmp_path / "artifacts").exists()


OWN = """\
---
title: Location de vélos
---

## Combien coûte la location ? {#location-prix}

- prix pour une journée
- c'est combien pour un week-end

***

20 € par jour.

## Que faire en cas de crevaison ? {#crevaison}

- pneu à plat
- ma roue est crevée

***

Appelez-nous.
"""


def test_a_faq_of_a_shops_own_answers_after_training_as_before(tmp_path: Path) -> None:
    """So few wordings prove no error rate: the heads are not believed, and the index goes on speaking."""
    content = tmp_path / "content"
    (content / "fr").mkdir(parents=True)
    (content / "fr" / "velos.md").write_text(OWN, encoding="utf-8")
    settings = settings_for(tmp_path, artifacts_dir=tmp_path / "artifacts", content_dir=content)
    encoder = models.load_encoder()
    trained = models.train_faq(
        [
            *faq_kb.training_examples(faq_kb.load_content(content)),
            *(Example(f"rien {n}", None, "fr") for n in range(20)),
        ],
        [],
        encoder,
        settings.artifacts_dir,
    )
    assert trained.status == "served"

    search = open_faq_search(settings, encoder)

    assert search.search("ma roue avant est crevée", "fr", 1).slug == "crevaison"
    assert search.search("ma roue avant est crevée", "fr", 1).answered
    assert not search.search("Quel temps fera-t-il demain à Lyon ?", "fr", 1).answered


def test_what_is_asked_about_a_dropped_topic_is_what_no_entry_answers() -> None:
    text = training.TrainingText(training.ROOT / "faq_kb" / "content")
    slugs = {str(row.label) for row in text.wordings}
    dropped = "payment-instalments" if "payment-instalments" in slugs else sorted(slugs)[0]
    rest = slugs - {dropped}

    rows = text.about(rest, text.wordings)

    assert len(rows) == len(text.wordings)
    assert sum(row.label is None for row in rows) == sum(row.label == dropped for row in text.wordings) > 0
    own = text.about({*rest, "an-entry-of-the-shops-own"}, text.wordings)
    assert {row.label for row in own} == rest


def test_thousands_of_entries_are_searched_without_heads(tmp_path: Path) -> None:
    content = tmp_path / "content" / "fr"
    content.mkdir(parents=True)
    for part in range(7):
        entries = "\n".join(
            f"## Article {part}-{number} ? {{#article-{part}-{number}}}\n\n- objet {part} {number}\n\n***\n\nOui.\n"
            for number in range(100)
        )
        (content / f"part{part}.md").write_text(f"---\ntitle: Partie {part}\n---\n\n{entries}", encoding="utf-8")
    settings = settings_for(tmp_path, artifacts_dir=tmp_path / "artifacts", content_dir=tmp_path / "content")
    told = Console(record=True, width=200)
    training.train_all(settings, told, only="faq")
    assert "skipped (more than 600 entries" in told.export_text()
    assert open_faq_search(settings, models.load_encoder()).search("objet 3 14", "fr", 1).slug == "article-3-14"


def test_what_the_heads_have_learnt_is_known_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "content" / "fr"
    folder.mkdir(parents=True)
    (folder / "velos.md").write_text(OWN, encoding="utf-8")
    outside = tuple(Example(f"rien {number}", None, "fr") for number in range(20))
    own = training.TrainingText.questions
    monkeypatch.setattr(
        training.TrainingText,
        "questions",
        lambda text, content: (*(row for row in own(text, content) if row.label is not None), *outside),
    )
    monkeypatch.setattr(training.TrainingText, "frozen_questions", ())
    settings = settings_for(tmp_path, artifacts_dir=tmp_path / "artifacts", content_dir=tmp_path / "content")
    content = faq_kb.load_content(settings.content_dir)

    training.train_faq(settings, models.load_encoder(), content)

    learnt = training.learnt_texts(settings)
    assert learnt == {text for entry in content.entries.values() for text in entry.texts}
