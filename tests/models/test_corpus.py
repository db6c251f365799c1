"""Training text as editors write it, and mistakes reported with file, line and remedy."""

from pathlib import Path

import pytest

from models import CorpusError, read_json_lines, read_mails, read_nlu, read_out_of_scope, read_questions

NLU = """version: "3.1"
nlu:
- intent: refund
  metadata:
    author: c1
  examples: |
    - je veux être remboursé
    - remboursez la [104871265](order_number) [svp] merci
- intent: out_of_scope
  examples: |
    - quel temps fait-il
- intent: greet
  examples:
    - text: bonjour
      metadata: {author: c2}
- synonym: cb
  examples: |
    - carte
"""


def test_rasa_files_become_examples(tmp_path: Path) -> None:
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "intents.yml").write_text(NLU, encoding="utf-8")
    examples = read_nlu(tmp_path)
    assert [(example.text, example.label, example.author) for example in examples] == [
        ("je veux être remboursé", "refund", "c1"),
        ("remboursez la 104871265 [svp] merci", "refund", "c1"),
        ("quel temps fait-il", None, ""),
        ("bonjour", "greet", "c2"),
    ]
    assert {example.language for example in examples} == {"fr"}


def test_an_intent_without_examples_is_named(tmp_path: Path) -> None:
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "empty.yml").write_text("nlu:\n- intent: refund\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"empty\.yml.*refund"):
        read_nlu(tmp_path)


def test_mails_lose_their_quoted_history(tmp_path: Path) -> None:
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "m.jsonl").write_text(
        '{"subject": "s", "body": "neuf\\n> vieux", "motives": ["refund"], "wants_human": true}\n', encoding="utf-8"
    )
    (mail,) = read_mails(tmp_path, newest=lambda body: body.split("\n>")[0])
    assert (mail.body, mail.language, mail.motives, mail.wants_human) == ("neuf", "fr", ("refund",), True)


def test_a_broken_line_is_reported_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "faq.jsonl"
    file.write_text('{"text": "a", "language": "fr", "slug": null}\n{"text": "b"}\n', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"faq\.jsonl:2: .*language"):
        read_questions(file)


def test_out_of_scope_files_in_both_layouts(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "general.txt").write_text("# comment\nwho won\n\n", encoding="utf-8")
    (tmp_path / "fr.txt").write_text("qui a gagné\n", encoding="utf-8")
    found = {(example.text, example.language, example.label) for example in read_out_of_scope(tmp_path)}
    assert found == {("who won", "en", None), ("qui a gagné", "fr", None)}


def test_a_line_separator_in_a_text_ends_no_line(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "une\u2028deux"}\n{"text": "trois"}\n', encoding="utf-8")
    assert [row["text"] for row in read_json_lines(file)] == ["une\u2028deux", "trois"]


def test_a_file_of_another_encoding_is_named(tmp_path: Path) -> None:
    file = tmp_path / "latin.jsonl"
    file.write_bytes('{"text": "été"}'.encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.jsonl: not UTF-8 .* save it in UTF-8"):
        read_json_lines(file)
