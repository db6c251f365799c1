"""The FAQ as its editors write it: Markdown files, one a theme, in one folder a language.

    ---
    title: Livraison
    ---

    ## Quels sont les délais de livraison ? {#delivery-times}

    - cb de temps pour recevoir un livre
    - si je commande ce soir je l'ai vendredi ?

    ***

    En France métropolitaine, comptez **2 à 4 jours ouvrés**...

A heading is an entry's question and names its slug; the list below it holds other ways to ask it; what follows `***` is
the answer. A mistake in a file never takes an answer away: the entries of the file's last good version stay.
"""

from __future__ import annotations

import csv
import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from models import LANGUAGES, Example

# The shipped French content was written by two people: the first wrote this many wordings an entry, the second the rest.
# The split lets training calibrate on text by somebody who wrote none of what it learns from.
FIRST_AUTHOR_WORDINGS = 14

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_HEADING = re.compile(r"##\s+(?P<title>.*?)\s*(?:\{#(?P<slug>[^}]*)\}\s*)?")
_LANGUAGE = re.compile(r"[a-z]{2}")
_NOT_A_WORD = re.compile(r"[\W_]+")
_SEPARATOR = "***"
_FORM = "## Question {#its-slug}"


@dataclass(frozen=True)
class Mistake:
    """What is wrong at one place of the content, and the remedy. `str` gives `path:line: message`."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        here = Path.cwd()
        shown = self.file.relative_to(here) if self.file.is_relative_to(here) else self.file
        return f"{shown}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Entry:
    """One question and its answer in one language. `theme` is the file's name without its ending; `line` the heading's."""

    slug: str
    language: str
    theme: str
    theme_title: str
    title: str
    wordings: tuple[str, ...]
    answer_markdown: str
    file: Path
    line: int
    wording_lines: tuple[int, ...] = ()

    def line_of(self, text: str) -> int:
        """The line where this title or wording stands."""
        lines = dict(zip(map(fold, self.wordings), self.wording_lines, strict=True))
        return lines.get(fold(text), self.line)

    @property
    def texts(self) -> tuple[str, ...]:
        """All ways to ask this question: the title, then the wordings."""
        return (self.title, *self.wordings)


@dataclass(frozen=True)
class Content:
    """All entries by (language, slug), and what is wrong with the files they come from.

    `mistakes` keep a file's new version from being served; `warnings` do not. `digests` tell which files changed.
    """

    entries: Mapping[tuple[str, str], Entry]
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[Mistake, ...] = ()
    digests: Mapping[Path, str] = field(default_factory=dict)

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(sorted({language for language, _ in self.entries}))

    def entry(self, slug: str, languages: Iterable[str]) -> Entry | None:
        """The entry in the first of `languages` that has it, else in any language, else None."""
        for language in languages:
            if (language, slug) in self.entries:
                return self.entries[language, slug]
        return next((entry for (_, each), entry in sorted(self.entries.items()) if each == slug), None)


@dataclass(frozen=True)
class Topic:
    """A topic that the shop's FAQ must cover; `line` is its line in topics.csv."""

    slug: str
    title: str
    line: int


@dataclass(frozen=True)
class Check:
    """What `comptoir faq check` reports. Mistakes and missing topics fail it; warnings are only told."""

    mistakes: tuple[Mistake, ...]
    missing: tuple[Mistake, ...]
    warnings: tuple[Mistake, ...]

    @property
    def failed(self) -> bool:
        return bool(self.mistakes or self.missing)


def fold(text: str) -> str:
    """A text's identity for lookups: lower case, no accents, no punctuation, single spaces."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe"))
    words = _NOT_A_WORD.sub(" ", "".join(letter for letter in plain if not unicodedata.combining(letter))).strip()
    return words or text.strip()


def load_content(directory: Path, previous: Content | None = None) -> Content:
    """Read `directory/<language>/<theme>.md`.

    A file with a mistake contributes the entries that it had in `previous`, where it had any; on a first load, its
    entries without a mistake. When two files clash, the one that changed since `previous` is told.
    """
    old_digests = previous.digests if previous else {}
    mistakes, files = _find_files(directory)
    if not files and previous is not None and previous.entries:
        # A folder that is being moved or checked out is no order to forget everything.
        mistakes = mistakes or [
            Mistake(directory, 1, "no content files; put them back (the last ones are still served)")
        ]
        return replace(previous, mistakes=tuple(mistakes))
    raw: dict[Path, bytes] = {}
    for file in files:
        try:
            raw[file] = file.read_bytes()
        except OSError as error:
            mistakes.append(Mistake(file, 1, f"cannot be read ({error.strerror}); make it readable or remove it"))
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in raw.items()}
    warnings: list[Mistake] = []
    house = _House()
    for file in sorted(raw, key=lambda file: (digests[file] != old_digests.get(file), file)):
        draft = _parse(file, raw[file])
        clashes = house.clashes(draft.entries)
        warnings += draft.warnings
        mistakes += [*draft.mistakes, *clashes]
        kept = [] if previous is None else [entry for entry in previous.entries.values() if entry.file == file]
        house.admit(kept if kept and (draft.mistakes or clashes) else draft.entries)
    if previous is not None:
        # A file that cannot be read at this moment is a mistake, not a deletion.
        unread = set(files) - set(raw)
        house.admit([entry for entry in previous.entries.values() if entry.file in unread])
        digests |= {file: old_digests[file] for file in unread if file in old_digests}
    return Content(
        entries={(entry.language, entry.slug): entry for entry in sorted(house.entries.values(), key=_place)},
        mistakes=tuple(sorted(mistakes, key=_where)),
        warnings=tuple(sorted(warnings, key=_where)),
        digests=digests,
    )


def read_topics(file: Path) -> tuple[Topic, ...]:
    """The topics of a CSV file with the columns `slug` and `title_fr`; empty when there is no such file.

    Raises ValueError naming file and remedy when a column is missing.
    """
    if not file.exists():
        return ()
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        missing = {"slug", "title_fr"} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f'{file}:1: no column "{sorted(missing)[0]}"; the first line must be slug,title_fr,scope')
        return tuple(Topic(row["slug"].strip(), row["title_fr"].strip(), rows.line_num) for row in rows if row["slug"])


def check_content(directory: Path, topics_file: Path | None = None, languages: Sequence[str] = LANGUAGES) -> Check:
    """All that an editor should know: mistakes, topics without an entry, and warnings.

    A topic is missing in every language that has a folder: what the shop began in a language, it must finish, because a
    shopper would get an answer in another language. A language of `languages` without a folder is only a warning: the
    product falls back to French and English there. `topics_file` defaults to `topics.csv` beside the content folder.
    """
    content = load_content(directory)
    topics_file = topics_file or directory.parent / "topics.csv"
    topics = read_topics(topics_file)
    begun = {folder.name for folder in directory.glob("*/") if any(folder.glob("*.md"))}
    missing = [
        Mistake(
            topics_file,
            topic.line,
            f'topic "{topic.slug}" has no entry in "{language}"; write one ({topic.title}) in {directory.name}/{language}/',
        )
        for language in sorted(begun)
        for topic in topics
        if (language, topic.slug) not in content.entries
    ]
    absent = [
        Mistake(
            directory / language,
            1,
            f'no content in "{language}"; shoppers get French or English answers until there is',
        )
        for language in languages
        if language not in begun
    ]
    return Check(content.mistakes, tuple(missing), (*content.warnings, *absent))


def training_examples(content: Content) -> tuple[Example, ...]:
    """Every title and wording as an example of its entry's slug, for the trained heads.

    `author` is the language and the part of the wording list that it stands in: `fr-1` (the title and the first 14
    wordings), `fr-2` (the later ones).
    """
    return tuple(
        Example(text, entry.slug, entry.language, f"{entry.language}-{1 if position <= FIRST_AUTHOR_WORDINGS else 2}")
        for entry in content.entries.values()
        for position, text in enumerate(entry.texts)
    )


@dataclass
class _House:
    """What has been read so far: one entry a language and slug, one owner a wording."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    owners: dict[tuple[str, str], Entry] = field(default_factory=dict)

    def clashes(self, entries: Sequence[Entry]) -> list[Mistake]:
        found = []
        for entry in entries:
            other = self.entries.get((entry.language, entry.slug))
            if other:
                where = f"{other.file.name}:{other.line}"
                message = f'slug "{entry.slug}" is taken by {where}; give this entry another slug or remove one'
                found.append(Mistake(entry.file, entry.line, message))
            for text in entry.texts:
                owner = self.owners.get((entry.language, fold(text)))
                if owner and owner.slug != entry.slug:
                    found.append(_listed_twice(entry, text, owner))
        return found

    def admit(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if (entry.language, entry.slug) not in self.entries:
                self.entries[entry.language, entry.slug] = entry
                for text in entry.texts:
                    self.owners.setdefault((entry.language, fold(text)), entry)


@dataclass
class _Draft:
    """One file, read: its entries without mistakes, and what is wrong with the others."""

    entries: list[Entry] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)


Line = tuple[int, str]  # its number from 1, its text
Wrong = Callable[[int, str], None]  # notes a mistake: its line, its message


def _find_files(directory: Path) -> tuple[list[Mistake], list[Path]]:
    if not directory.is_dir():
        return [Mistake(directory, 1, "no such content folder; create it with one folder a language, such as fr/")], []
    mistakes, files = [], []
    for folder in sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith(".")):
        found = sorted(path for path in folder.glob("*.md") if path.is_file() and not path.name.startswith("."))
        if found and not _LANGUAGE.fullmatch(folder.name):
            message = f'"{folder.name}" is no language; name the folder by two letters, such as fr or en'
            mistakes.append(Mistake(folder, 1, message))
        else:
            files += found
    return mistakes, files


def _parse(file: Path, raw: bytes) -> _Draft:
    draft = _Draft()

    def wrong(line: int, message: str) -> None:
        draft.mistakes.append(Mistake(file, line, message))

    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong(raw[: error.start].count(b"\n") + 1, "not UTF-8; save the file as UTF-8")
        return draft
    lines: list[Line] = [(number, line.rstrip()) for number, line in enumerate(text.split("\n"), start=1)]
    theme_title, body = _front_matter(lines, wrong)
    blocks = _blocks(body)
    for number, line in blocks[0]:
        if line:
            wrong(number, f"text before the first entry; put it below a heading of the form `{_FORM}`")
            break
    if len(blocks) == 1:
        wrong(lines[-1][0], f"no entry; write a heading of the form `{_FORM}`")
    listed: dict[str, Entry] = {}
    for block in blocks[1:]:
        entry = _entry(file, theme_title, block, draft)
        if entry is None:
            continue
        twin = next((other for other in draft.entries if other.slug == entry.slug), None)
        if twin:
            wrong(
                entry.line,
                f'slug "{entry.slug}" is taken by line {twin.line}; give this entry another slug or remove one',
            )
            continue
        for said in entry.texts:
            owner = listed.setdefault(fold(said), entry)
            if owner is not entry:
                draft.mistakes.append(_listed_twice(entry, said, owner))
        draft.entries.append(entry)
    return draft


def _front_matter(lines: list[Line], wrong: Wrong) -> tuple[str, list[Line]]:
    """The theme's title, and the lines behind the front matter."""
    remedy = "begin the file with the lines `---`, `title: ...`, `---`"
    if lines[0][1] != "---":
        wrong(1, f"no front matter; {remedy}")
        return "", lines
    end = next((index for index, (_, line) in enumerate(lines[1:], start=1) if line == "---"), None)
    if end is None:
        wrong(1, "the front matter has no end; close it with a line `---`")
        # Without its end nothing tells where the entries begin, unless there is a heading.
        start = next((index for index, (_, line) in enumerate(lines) if line.startswith("## ")), len(lines))
        return "", lines[start:]
    try:
        front = yaml.safe_load("\n".join(line for _, line in lines[1:end]))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "unreadable"
        wrong((mark.line if mark else 0) + 2, f"front matter is not valid YAML ({problem}); {remedy}")
        return "", lines[end + 1 :]
    title = front.get("title") if isinstance(front, dict) else None
    if not isinstance(title, str) or not title.strip():
        wrong(2, "front matter has no title; write `title: ` and the theme's name as shoppers should read it")
        title = ""
    return title.strip(), lines[end + 1 :]


def _blocks(lines: list[Line]) -> list[list[Line]]:
    """The lines before the first heading, then each entry's lines, its heading first."""
    blocks: list[list[Line]] = [[]]
    for number, line in lines:
        if line.startswith("## ") or line == "##":
            blocks.append([])
        blocks[-1].append((number, line))
    return blocks


def _entry(file: Path, theme_title: str, block: list[Line], draft: _Draft) -> Entry | None:
    start = block[0][0]

    def wrong(line: int, message: str) -> None:
        draft.mistakes.append(Mistake(file, line, message))

    before = len(draft.mistakes)
    heading = _HEADING.fullmatch(block[0][1])
    title = heading["title"] if heading else ""
    slug = heading["slug"] if heading else None
    name = f'entry "{slug or title}"'
    if not title:
        wrong(start, f"heading without a question; write it as `{_FORM}`")
    if slug is None:
        wrong(start, f"{name} has no slug; end its heading with {{#its-slug}}")
    elif not _SLUG.fullmatch(slug):
        wrong(start, f'slug "{slug}" is not of the form late-parcel; use small letters, digits and single hyphens')
    split = next((index for index, (_, line) in enumerate(block) if line.strip() == _SEPARATOR), None)
    if split is None:
        wrong(start, f"{name} has no line `***`; put it between the wordings and the answer")
        return None
    wordings = _wordings(block[1:split], name, wrong)
    if not wordings:
        wrong(start, f"{name} has no wordings; list other ways to ask it below the question, one a line after `- `")
    answer = "\n".join(line for _, line in block[split + 1 :]).strip()
    if not answer:
        wrong(start, f"{name} has no answer; write one below its line `***`")
    if len(draft.mistakes) > before or slug is None:
        return None
    seen = {fold(title)}
    unique: list[Line] = []
    for number, wording in wordings:
        if fold(wording) in seen:
            draft.warnings.append(Mistake(file, number, f'{name} lists "{wording}" twice; remove one'))
        else:
            seen.add(fold(wording))
            unique.append((number, wording))
    return Entry(
        slug=slug,
        language=file.parent.name,
        theme=file.stem,
        theme_title=theme_title,
        title=title,
        wordings=tuple(wording for _, wording in unique),
        answer_markdown=answer,
        file=file,
        line=start,
        wording_lines=tuple(number for number, _ in unique),
    )


def _wordings(lines: list[Line], name: str, wrong: Wrong) -> list[Line]:
    wordings: list[Line] = []
    for number, line in lines:
        if line.startswith(("- ", "* ")) and line[2:].strip():
            wordings.append((number, line[2:].strip()))
        elif line.startswith((" ", "\t")) and line.strip() and wordings:
            wordings[-1] = (wordings[-1][0], f"{wordings[-1][1]} {line.strip()}")
        elif line.strip() and line not in ("-", "*"):
            wrong(number, f"{name}: this line is no wording; begin it with `- `, or move it below the line `***`")
    return wordings


def _listed_twice(entry: Entry, text: str, owner: Entry) -> Mistake:
    where = f"{owner.file.name}:{owner.line_of(text)}"
    message = f'"{text}" stands under "{owner.slug}" too ({where}); a wording belongs to one entry, remove one'
    return Mistake(entry.file, entry.line_of(text), message)


def _place(entry: Entry) -> tuple[str, str, int]:
    return entry.language, entry.theme, entry.line


def _where(mistake: Mistake) -> tuple[Path, int]:
    return mistake.file, mistake.line
