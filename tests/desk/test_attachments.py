"""The files that come with mail: named at the desk with size and reason, downloaded by agents, run by nobody."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from werkzeug.http import parse_options_header

import desk
from desk import Attachment, FiledAttachment, InboundMail
from store import Database, FileStore
from tests.desk.scenes import Browser, file_mail, filed

Open = Callable[..., Browser]
PHOTO = b"\xff\xd8\xff\xe0 a photo of a torn cover"


def kept(files: FileStore, name: str, content_type: str = "image/jpeg", content: bytes = PHOTO) -> FiledAttachment:
    return FiledAttachment(name, content_type, len(content), files.keep(content))


def ids(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Attachment.id).order_by(Attachment.id)))


def test_an_agent_downloads_what_the_customer_sent(browser: Open, database: Database, files: FileStore) -> None:
    case = file_mail(database, attachments=(kept(files, "couverture déchirée.jpg"),))
    agent = browser("lea")
    (attachment_id,) = ids(database)

    page = agent.look(f"/desk/c/{case}")
    response = agent.client.get(f"/desk/files/{attachment_id}")

    assert f'href="/desk/files/{attachment_id}"' in page
    assert "couverture déchirée.jpg" in page
    assert response.data == PHOTO
    assert "filename*=UTF-8''couverture%20d%C3%A9chir%C3%A9e.jpg" in response.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("name", "content_type", "content"),
    [
        ("page.html", "text/html", b"<script>alert(document.cookie)</script>"),
        ("logo.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("data.xml", "application/xml", b"<?xml-stylesheet href='evil.xsl'?>"),
        ('a"; filename=evil.html\\', "text/html", b"<b>"),
        ("photo.jpg", "image/jpeg", PHOTO),
    ],
)
def test_whatever_a_file_is_the_browser_saves_it_and_shows_nothing_of_it(
    browser: Open, database: Database, files: FileStore, name: str, content_type: str, content: bytes
) -> None:
    file_mail(database, attachments=(kept(files, name, content_type, content),))

    response = browser("lea").client.get(f"/desk/files/{ids(database)[0]}")

    assert response.status_code == 200
    assert response.content_type == "application/octet-stream"
    assert parse_options_header(response.headers["Content-Disposition"]) == ("attachment", {"filename": name})
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.data == content


def test_only_agents_get_the_files(browser: Open, database: Database, files: FileStore) -> None:
    file_mail(database, attachments=(kept(files, "photo.jpg"),))
    stranger = browser().client

    for path in (f"/desk/files/{ids(database)[0]}", "/desk/mails/1/original"):
        response = stranger.get(path)
        assert response.status_code == 302
        assert response.location.startswith("/desk/login")
        assert PHOTO not in response.data


@pytest.mark.parametrize(
    ("reason", "language", "told"),
    [
        ("too_big", "fr", "trop gros pour être gardé à part"),
        ("too_much", "fr", "au-delà de ce qui est gardé d’un courriel"),
        ("refused_type", "fr", "peut être un programme"),
        ("refused_type", "en", "may be a program"),
        ("too_big", "en", "too big to be kept by itself"),
    ],
)
def test_a_file_that_was_left_out_is_named_with_the_reason_and_is_in_the_original_mail(
    browser: Open, database: Database, reason: str, language: str, told: str
) -> None:
    case = file_mail(database, attachments=(FiledAttachment("film.mov", "video/quicktime", 31_400_000, None, reason),))
    agent = browser("lea")
    with database.read() as session:
        mail = session.scalars(select(InboundMail)).one()

    page = agent.look(f"/desk/c/{case}", headers={"Accept-Language": language})

    assert "film.mov" in page
    assert "31,4 Mo" in page if language == "fr" else "31.4 MB" in page
    assert told in page
    assert f'href="/desk/mails/{mail.id}/original"' in page
    original = agent.client.get(f"/desk/mails/{mail.id}/original")
    assert original.data == mail.raw
    assert original.content_type == "application/octet-stream"
    assert original.headers["Content-Disposition"] == f"attachment; filename=mail-{mail.id}.eml"
    assert agent.client.get(f"/desk/files/{ids(database)[0]}").status_code == 404


def test_a_file_that_is_gone_from_the_disk_is_replaced_by_the_whole_mail(
    browser: Open, database: Database, files: FileStore
) -> None:
    attached = kept(files, "photo.jpg")
    file_mail(database, attachments=(attached,))
    lost = files.path(attached.digest or "")
    assert lost is not None
    lost.unlink()
    agent = browser("lea")

    response = agent.client.get(f"/desk/files/{ids(database)[0]}")

    assert response.location.endswith("/original")
    assert agent.client.get(response.location).status_code == 200
    assert "n’était plus sur le disque" in agent.look("/desk/")


@pytest.mark.parametrize("path", ["/desk/files/999", "/desk/mails/999/original"])
def test_what_there_is_not_is_not_found(browser: Open, path: str) -> None:
    assert browser("lea").client.get(path).status_code == 404


def test_each_message_has_its_own_files(browser: Open, database: Database, files: FileStore) -> None:
    case = file_mail(database, message_id="<1@example.org>", attachments=(kept(files, "avant.jpg"),))
    again = file_mail(
        database,
        thread_ids=("<1@example.org>",),
        attachments=(kept(files, "après.jpg"), kept(files, "la même.jpg")),
    )
    assert again == case

    with database.read() as session:
        found = desk.attachments_of(session, case)

    assert [[each.name for each in found[number]] for number in sorted(found)] == [
        ["avant.jpg"],
        ["après.jpg", "la même.jpg"],
    ]
    assert len({each.digest for row in found.values() for each in row}) == 1, "the same content lies there once"


def test_a_mail_filed_before_files_were_kept_still_names_them(browser: Open, database: Database) -> None:
    case = file_mail(database, attachments=())
    with database.begin() as session:
        (message,) = session.scalars(
            select(desk.Event).where(desk.Event.conversation_id == case, desk.Event.kind == desk.EventKind.MESSAGE)
        )
        message.body = {**message.body, "attachments": ["ancienne photo.jpg"]}

    page = browser("lea").look(f"/desk/c/{case}")

    assert "ancienne photo.jpg" in page
    assert "/desk/files/" not in page


KILLED_BETWEEN_FILE_AND_ROW = """
import os, signal, sys
from pathlib import Path
import desk
from store import Database, FileStore
from tests.desk.scenes import filed
database, files, mail_id = Database(sys.argv[1]), FileStore(Path(sys.argv[2])), int(sys.argv[3])
attached = desk.FiledAttachment("photo.jpg", "image/jpeg", 5, files.keep(b"photo"))
with database.begin() as session:
    desk.file_mail(session, mail_id, filed(attachments=(attached,)))
    session.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_between_file_and_row_leaves_an_orphan_and_the_next_try_files_it_once(
    database: Database, files: FileStore, tmp_path: Path
) -> None:
    with database.begin() as session:
        mail_id = desk.receive(session, b"a mail with a photo", source="test").id
    arguments = [str(database.url), str(tmp_path / "attachments"), str(mail_id)]
    killed = subprocess.run([sys.executable, "-c", KILLED_BETWEEN_FILE_AND_ROW, *arguments], check=False, timeout=60)
    assert killed.returncode == -9
    digest = hashlib.sha256(b"photo").hexdigest()
    assert ids(database) == [], "the row was not committed"
    assert files.path(digest) is not None, "the file is there"

    with database.begin() as session:
        desk.file_mail(session, mail_id, filed(attachments=(kept(files, "photo.jpg", content=b"photo"),)))

    assert len(ids(database)) == 1
    assert files.sweep(lambda names: _named(database, names), older_than=timedelta(0)) == 0
    assert files.path(digest) is not None


def test_the_sweep_takes_what_no_row_names_and_nothing_else(database: Database, files: FileStore) -> None:
    named = kept(files, "photo.jpg")
    file_mail(database, attachments=(named,))
    orphan = files.keep(b"its row was never committed")

    assert files.sweep(lambda names: _named(database, names), older_than=timedelta(0)) == 1

    assert files.path(orphan) is None
    assert files.path(named.digest or "") is not None


def _named(database: Database, names: object) -> set[str]:
    with database.read() as session:
        return desk.named_digests(session, names)  # type: ignore[arg-type]
