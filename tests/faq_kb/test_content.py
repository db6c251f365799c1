"""What an editor may write, and what she is told when she slips."""

from pathlib import Path

import pytest

from faq_kb import Content, check_content, load_content, training_examples
from models import LANGUAGES
from tests.faq_kb.conftest import ACCOUNT, DELIVERY, SHIPPED, Write


def slugs(content: Content) -> set[str]:
    return {slug for _, slug in content.entries}


def test_an_entry_is_read_with_its_question_wordings_and_answer(small_faq: Path) -> None:
    content = load_content(small_faq)

    entry = content.entries["fr", "delivery-costs"]
    assert content.mistakes == ()
    assert entry.title == "Combien coûte la livraison ?"
    assert entry.wordings == ("frais de port svp", "à partir de quel montant la livraison est offerte")
    assert entry.answer_markdown == "La livraison coûte **3,90 €**."
    assert (entry.theme, entry.theme_title, entry.line) == ("livraison", "Livraison", 14)
    assert entry.line_of("frais de port svp") == 16


def test_an_answer_may_hold_lists_rules_and_smaller_headings(write: Write, folder: Path) -> None:
    answer = "Oui.\n\n### Comment\n\n1. un\n2. deux\n\n***\n\n- fin"
    write("fr/compte", ACCOUNT.replace("Demandez un lien, valable **1 heure**.", answer))

    assert load_content(folder).entries["fr", "forgotten-password"].answer_markdown == answer


def test_files_saved_on_windows_read_the_same(write: Write, folder: Path) -> None:
    write("fr/compte", ACCOUNT)
    expected = load_content(folder).entries["fr", "forgotten-password"]
    (folder / "fr" / "compte.md").write_bytes(b"\xef\xbb\xbf" + ACCOUNT.replace("\n", "\r\n").encode())

    content = load_content(folder)

    assert content.mistakes == ()
    assert content.entries["fr", "forgotten-password"] == expected


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        (" {#delivery-costs}", "", 14, ("has no slug", "{#its-slug}")),
        ("{#delivery-costs}", "{#Delivery Costs}", 14, ('slug "Delivery Costs"', "small letters")),
        ("{#delivery-costs}", "{#delivery-times}", 14, ("taken by line 5", "another slug")),
        ("La livraison coûte **3,90 €**.", "", 14, ('entry "delivery-costs" has no answer', "write one below")),
        ("offerte\n\n***", "offerte\n", 14, ("no line `***`", "put it between")),
        (
            "- frais de port svp\n- à partir de quel montant la livraison est offerte\n",
            "",
            14,
            ("has no wordings", "list other"),
        ),
        (
            "- frais de port svp",
            "- CB de temps pour recevoir un livre !",
            16,
            ('under "delivery-times"', "livraison.md:7", "remove"),
        ),
        ("- frais de port svp", "frais de port svp", 16, ("no wording", "begin it with `- `")),
        ("## Combien coûte la livraison ? {#delivery-costs}", "## {#delivery-costs}", 14, ("without a question",)),
        ("---\ntitle: Livraison\n---\n", "", 1, ("no front matter", "begin the file")),
        ("title: Livraison\n---\n", "title: Livraison\n", 1, ("no end", "close it")),
        ("title: Livraison", "title: [Livraison", 2, ("not valid YAML", "title: ...")),
        ("title: Livraison", "titre: Livraison", 2, ("no title", "write `title: `")),
        ("---\n\n## Quels", "---\n\nBonjour\n\n## Quels", 5, ("before the first entry", "below a heading")),
    ],
)
def test_a_mistake_names_line_and_remedy(
    write: Write, folder: Path, before: str, after: str, line: int, words: tuple[str, ...]
) -> None:
    assert before in DELIVERY
    file = write("fr/livraison", DELIVERY.replace(before, after, 1))

    (mistake,) = load_content(folder).mistakes

    assert (mistake.file, mistake.line) == (file, line)
    assert str(mistake).startswith(f"{file}:{line}: ")
    for word in words:
        assert word in mistake.message


def test_a_file_without_a_heading_is_a_mistake(write: Write, folder: Path) -> None:
    write("fr/vide", "---\ntitle: Vide\n---\n")

    (mistake,) = load_content(folder).mistakes

    assert "write a heading of the form `## Question {#its-slug}`" in mistake.message


def test_a_file_that_is_not_utf8_is_told_with_its_line(write: Write, folder: Path) -> None:
    file = write("fr/livraison", "")
    file.write_bytes(DELIVERY.encode("latin-1", errors="replace"))

    (mistake,) = load_content(folder).mistakes

    assert (mistake.line, mistake.message) == (5, "not UTF-8; save the file as UTF-8")


def test_a_wording_of_two_entries_in_two_files_is_a_mistake(small_faq: Path, write: Write) -> None:
    write("fr/compte", ACCOUNT.replace("- mdp oublié", "- Frais de port, SVP"))

    (mistake,) = load_content(small_faq).mistakes

    assert "a wording belongs to one entry" in mistake.message


def test_the_same_wording_may_serve_two_languages(small_faq: Path, write: Write) -> None:
    write("en/account", ACCOUNT)

    assert load_content(small_faq).mistakes == ()


def test_a_wording_listed_twice_in_its_own_entry_is_only_a_warning(small_faq: Path, write: Write) -> None:
    write("fr/compte", ACCOUNT.replace("- mdp oublié", "- mdp oublié\n- MDP oublié ?"))

    content = load_content(small_faq)

    assert content.mistakes == ()
    assert [warning.line for warning in content.warnings] == [8]
    assert len(content.entries["fr", "forgotten-password"].wordings) == 2


def test_a_broken_file_keeps_its_last_good_entries(small_faq: Path, write: Write) -> None:
    good = load_content(small_faq)
    write("fr/livraison", DELIVERY.replace("La livraison coûte **3,90 €**.", "").replace("2 à 4 jours", "9 jours"))

    broken = load_content(small_faq, good)
    again = load_content(small_faq, broken)

    assert len(broken.mistakes) == 1
    for content in (broken, again):
        assert content.entries == good.entries


def test_on_a_first_load_a_broken_file_still_gives_its_sound_entries(small_faq: Path, write: Write) -> None:
    write("fr/livraison", DELIVERY.replace("La livraison coûte **3,90 €**.", ""))

    assert slugs(load_content(small_faq)) == {"delivery-times", "forgotten-password"}


def test_when_two_files_clash_the_one_that_changed_is_told(small_faq: Path, write: Write) -> None:
    good = load_content(small_faq)
    changed = write("fr/compte", ACCOUNT.replace("{#forgotten-password}", "{#delivery-costs}"))

    content = load_content(small_faq, good)

    assert [mistake.file for mistake in content.mistakes] == [changed]
    assert content.entries == good.entries


def test_a_removed_file_takes_its_entries_away(small_faq: Path) -> None:
    good = load_content(small_faq)
    (small_faq / "fr" / "compte.md").unlink()

    assert slugs(load_content(small_faq, good)) == {"delivery-times", "delivery-costs"}


def test_an_emptied_folder_takes_nothing_away(small_faq: Path) -> None:
    good = load_content(small_faq)
    for file in small_faq.glob("*/*.md"):
        file.unlink()

    content = load_content(small_faq, good)

    assert content.entries == good.entries
    assert "put them back" in content.mistakes[0].message


def test_what_an_editor_program_leaves_behind_is_no_content(small_faq: Path, write: Write) -> None:
    write("fr/.livraison", "half a file")
    (small_faq / "fr" / "livraison.md~").write_text("half a file", encoding="utf-8")

    assert load_content(small_faq).mistakes == ()


def test_a_topic_without_an_entry_fails_the_check_where_a_language_was_begun(small_faq: Path, write: Write) -> None:
    write("en/account", ACCOUNT)
    topics = small_faq.parent / "topics.csv"
    topics.write_text(
        "slug,title_fr,scope\nforgotten-password,Mot de passe,\ndelivery-times,Délais,\n", encoding="utf-8"
    )

    check = check_content(small_faq, languages=("fr", "en", "de"))

    assert check.failed
    assert [(missing.file, missing.line) for missing in check.missing] == [(topics, 3)]
    assert 'topic "delivery-times" has no entry in "en"; write one' in check.missing[0].message
    assert ['no content in "de"' in warning.message for warning in check.warnings] == [True]


def test_the_check_passes_when_every_topic_is_covered(small_faq: Path) -> None:
    (small_faq.parent / "topics.csv").write_text("slug,title_fr,scope\ndelivery-times,Délais,\n", encoding="utf-8")

    assert not check_content(small_faq, languages=("fr",)).failed


def test_topics_need_their_columns(small_faq: Path) -> None:
    (small_faq.parent / "topics.csv").write_text("name\ndelivery-times\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r'topics\.csv:1: no column "slug"'):
        check_content(small_faq)


def test_the_shop_covers_every_topic_in_every_language_it_began() -> None:
    check = check_content(SHIPPED)

    assert [str(found) for found in (*check.mistakes, *check.missing)] == []


def test_training_examples_keep_the_second_author_apart(shipped: Content) -> None:
    examples = training_examples(shipped)

    late = [each.text for each in examples if each.label == "late-parcel" and each.author == "fr-1"]
    assert len(late) == 15  # the title and fourteen wordings
    assert {"fr-1", "fr-2", "en-1"} <= {each.author for each in examples}
    assert {each.language for each in examples} <= set(LANGUAGES)
    assert len({(each.text, each.label, each.language) for each in examples}) == len(examples)
