"""Further ways to ask about the shop's topics, by author: text that the trained heads learn from and no editor has to read.

`wordings/<language>/<author>.tsv` holds a wording a line: the topic's slug, a tab, the wording. The list below an entry's
heading stays short enough to be edited; who wrote which line stays known, so that one author's can judge another's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from faq_kb.content import Mistake, fold
from models import CorpusError, Example, read_text

_FORM = "write the topic's slug, a tab and the wording"


def read_wordings(folder: Path) -> tuple[Example, ...]:
    """Each wording of `folder/<language>/<author>.tsv` as an example of its topic.

    Raises CorpusError naming file, line and remedy when a line has another form.
    """
    examples: list[Example] = []
    for file in _files(folder):
        for number, slug, text in _lines(file):
            if not text:
                raise CorpusError(f"{file}:{number}: no wording; {_FORM}")
            examples.append(Example(text, slug, file.parent.name, file.stem))
    return tuple(examples)


def check_wordings(folder: Path, slugs: Collection[str]) -> tuple[Mistake, ...]:
    """What is wrong with the files: lines of another form, slugs that are not among `slugs`, one wording for two topics."""
    mistakes: list[Mistake] = []
    owners: dict[tuple[str, str], tuple[str, Path, int]] = {}
    for file in _files(folder):
        try:
            lines = list(_lines(file))
        except CorpusError as error:
            mistakes.append(Mistake(file, 1, str(error).removeprefix(f"{file}: ")))
            continue
        for number, slug, text in lines:
            if not text:
                mistakes.append(Mistake(file, number, f"no wording; {_FORM}"))
                continue
            if slug not in slugs:
                mistakes.append(Mistake(file, number, f'no topic has the slug "{slug}"; correct it or remove the line'))
            owner, where, line = owners.setdefault((file.parent.name, fold(text)), (slug, file, number))
            if owner != slug:
                message = f'"{text}" also stands at {where.name}:{line} for "{owner}"; keep one of them'
                mistakes.append(Mistake(file, number, message))
    return tuple(mistakes)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.tsv"))


def _lines(file: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, slug and wording of each line that is not empty; the wording is "" where there is none."""
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            slug, _, text = line.partition("\t")
            yield number, slug.strip(), text.strip()
