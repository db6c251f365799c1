"""Where raw mails come from: files, mbox, Maildir, folders, standard input; nothing is lost and nothing stops the rest."""

from __future__ import annotations

import io
import mailbox
from pathlib import Path

import pytest

from tests.triage.reader import mail
from triage import read_mail, read_sources


def texts(*paths: Path | str, **given: io.BytesIO) -> list[str]:
    return [read_mail(raw).text for _, raw in read_sources(paths, **given)]  # type: ignore[arg-type]


def test_a_file_is_one_mail_whatever_is_in_it(tmp_path: Path) -> None:
    for name, data in {"a.eml": mail("un"), "b.bin": b"\x00\xff" * 50, "c.txt": b""}.items():
        (tmp_path / name).write_bytes(data)
    assert [(Path(name).name, raw) for name, raw in read_sources([tmp_path])] == [
        ("a.eml", mail("un")),
        ("b.bin", b"\x00\xff" * 50),
        ("c.txt", b""),
    ]


def test_an_mbox_gives_its_mails_and_undoes_its_quoting(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "box.mbox")
    for text in ("un\nFrom Paris with love 1999\nfin", "deux", "trois\n\n>From ici"):
        box.add(mail(text))
    box.flush()
    found = list(read_sources([tmp_path / "box.mbox"]))
    assert [name.rpartition("#")[2] for name, _ in found] == ["1", "2", "3"]
    assert [read_mail(raw).full_text for _, raw in found][:2] == ["un\nFrom Paris with love 1999\nfin", "deux"]


def test_a_line_of_prose_does_not_cut_a_mail_in_two(tmp_path: Path) -> None:
    raw = b"From a@b.example Mon Mar  2 10:12:00 2026\n" + mail(
        "Bonjour\n\nFrom Monday 10:12 on I wait since 2026\nSigne: moi"
    )
    (tmp_path / "x").write_bytes(raw)
    assert len(list(read_sources([tmp_path / "x"]))) == 1


def test_a_maildir_gives_new_and_read_mails_of_all_its_folders(tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "box")
    box.add(mail("nouveau"))
    read = mailbox.MaildirMessage(mail("lu"))
    read.set_subdir("cur")
    box.add(read)
    box.add_folder("Archive").add(mail("archive"))
    (tmp_path / "box" / "dovecot-uidlist").write_text("index")
    (tmp_path / "box" / "tmp" / "half").write_bytes(b"half written")
    assert sorted(texts(tmp_path / "box")) == ["archive", "lu", "nouveau"]


def test_standard_input_is_a_mail_or_an_mbox() -> None:
    assert texts("-", stdin=io.BytesIO(mail("un"))) == ["un"]
    line = b"From a@b.example Mon Mar  2 10:12:00 2026\n"
    assert texts("-", stdin=io.BytesIO(line + mail("un") + b"\n\n" + line + mail("deux"))) == ["un", "deux"]


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(mail("un"))
    told: list[str] = []
    found = list(read_sources([tmp_path / "missing", tmp_path / "a.eml"], unreadable=lambda name, _: told.append(name)))
    assert (len(found), told) == (1, [str(tmp_path / "missing")])
    with pytest.raises(FileNotFoundError):
        list(read_sources([tmp_path / "missing"]))


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(mail("un"))
    (tmp_path / "loop").symlink_to(tmp_path)
    assert texts(tmp_path) == ["un"]
