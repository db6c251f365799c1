"""Further wordings of the topics, kept by author: what the heads learn from them, and what is said of a broken file."""

from pathlib import Path

import pytest

from faq_kb import check_wordings, read_topics, read_wordings
from models import CorpusError
from tests.faq_kb.conftest import SHIPPED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fr").mkdir()
    return tmp_path


def test_a_line_is_an_example_of_its_topic_by_its_author(folder: Path) -> None:
    (folder / "fr" / "p1.tsv").write_text("late-parcel\tça devait être là lundi\n\n", encoding="utf-8")

    (example,) = read_wordings(folder)

    assert (example.text, example.label) == ("ça devait être là lundi", "late-parcel")
    assert (example.language, example.author) == ("fr", "p1")


def test_a_line_without_a_wording_is_named(folder: Path) -> None:
    (folder / "fr" / "p1.tsv").write_text("late-parcel\ttoujours rien\nlate-parcel toujours rien\n", encoding="utf-8")

    with pytest.raises(CorpusError, match=r"p1\.tsv:2: no wording; write the topic's slug, a tab"):
        read_wordings(folder)
    assert ["p1.tsv:2: no wording" in str(mistake) for mistake in check_wordings(folder, {"late-parcel"})] == [True]


def test_an_unknown_slug_is_named(folder: Path) -> None:
    (folder / "fr" / "p1.tsv").write_text("late-parcle\ttoujours rien\n", encoding="utf-8")

    (mistake,) = check_wordings(folder, {"late-parcel"})

    assert str(mistake).endswith('p1.tsv:1: no topic has the slug "late-parcle"; correct it or remove the line')


def test_one_wording_for_two_topics_is_named_with_both_places(folder: Path) -> None:
    (folder / "fr" / "p1.tsv").write_text("late-parcel\tToujours rien !\n", encoding="utf-8")
    (folder / "fr" / "p2.tsv").write_text("parcel-lost\ttoujours rien\n", encoding="utf-8")

    (mistake,) = check_wordings(folder, {"late-parcel", "parcel-lost"})

    assert mistake.file.name == "p2.tsv"
    assert 'also stands at p1.tsv:1 for "late-parcel"; keep one of them' in mistake.message


def test_the_shipped_wordings_have_no_mistake() -> None:
    slugs = {topic.slug for topic in read_topics(SHIPPED.parent / "topics.csv")}

    assert [str(mistake) for mistake in check_wordings(SHIPPED.parent / "wordings", slugs)] == []
