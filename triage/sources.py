"""Raw mails out of files: .eml, mbox, Maildir, folders of them, standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

# "From sender date": what separates the mails of an mbox (RFC 4155). The year ends it, so that prose never does.
_MBOX_LINE = re.compile(
    rb"From \S*.{0,200}? (?:\d{1,2}:\d{2}(?::\d{2})?(?: [+\-A-Z][\w+\-]*)* )\d{4}(?: [+\-]\d{4})?\s*$"
)
_QUOTED_FROM = re.compile(rb">+From ")
_HEADER_LINE = re.compile(rb"[\x21-\x39\x3b-\x7e]+[ \t]*:")


def read_sources(
    paths: Iterable[Path | str],
    *,
    stdin: BinaryIO | None = None,
    unreadable: Callable[[str, OSError], None] | None = None,
) -> Iterator[tuple[str, bytes]]:
    """The raw mails in `paths` with a name each, in the order of the names; "-" is standard input.

    A folder that holds `cur` or `new` is a Maildir; any other is read with all below it. An mbox gives its mails as
    `name#1`, `name#2` ...; every other file is one mail, whatever is in it. Raises OSError where a path cannot be read,
    unless `unreadable` is given, which then is told and the reading goes on.
    """
    for path in paths:
        if str(path) == "-":
            yield from _mails_in(stdin or sys.stdin.buffer, "-")
            continue
        for file in _files(Path(path), unreadable):
            try:
                with file.open("rb") as stream:
                    yield from _mails_in(stream, str(file))
            except OSError as error:
                if unreadable is None:
                    raise
                unreadable(str(file), error)


def _files(path: Path, unreadable: Callable[[str, OSError], None] | None) -> Iterator[Path]:
    """The regular files of a path; hidden files, a Maildir's `tmp` and its index files are no mail."""
    try:
        if not path.is_dir():
            yield path
            return
        entries = sorted(path.iterdir())
    except OSError as error:
        if unreadable is None:
            raise
        unreadable(str(path), error)
        return
    if (path / "cur").is_dir() or (path / "new").is_dir():
        boxes = [path / name for name in ("cur", "new") if (path / name).is_dir()]
        # Maildir++ keeps the folders of a mailbox beside each other, each with a leading dot.
        boxes += [entry for entry in entries if entry.name.startswith(".") and (entry / "cur").is_dir()]
        entries = boxes
    else:
        entries = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(entry, unreadable)
        elif entry.is_file():
            yield entry


def _mails_in(stream: BinaryIO, name: str) -> Iterator[tuple[str, bytes]]:
    """One mail, or the mails of an mbox; an mbox is read mail by mail, so that its size does not matter."""
    first = stream.readline()
    if not _MBOX_LINE.match(first.rstrip(b"\r\n")):
        yield name, first + stream.read()
        return
    mail: list[bytes] = [first]
    count = 0
    blank_before = False
    line = stream.readline()
    while line:
        following = stream.readline()
        if blank_before and _MBOX_LINE.match(line.rstrip(b"\r\n")) and _HEADER_LINE.match(following):
            count += 1
            yield f"{name}#{count}", _mbox_mail(mail)
            mail = [line]
        else:
            mail.append(line)
        blank_before = not line.strip()
        line = following
    yield (f"{name}#{count + 1}" if count else name), _mbox_mail(mail)


def _mbox_mail(lines: list[bytes]) -> bytes:
    """A mail as it was before the mbox: one ">" less before "From " (mboxrd), without the blank line that ends it."""
    if len(lines) > 1 and not lines[-1].strip():
        lines = lines[:-1]
    return b"".join(line[1:] if _QUOTED_FROM.match(line) else line for line in lines)
