"""From a raw mail to files that an agent can open: kept by content, within the policy, before the row that names them."""

from __future__ import annotations

import base64
import os
import threading
import time
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from desk import READ_MAIL, Attachment, InboundMail, is_received, quarantined, receive
from service import mail_in, worker
from service.attachments import sweep_files
from service.demo import DEMO_PASSWORD, add_demo_agents
from service.settings import Attachments, Mail
from service.web import create_app
from service.wiring import House
from tests.service.test_mail import letter, make_due
from triage import EXECUTABLES

PHOTO = b"\xff\xd8\xff\xe0 a photo" * 50


@pytest.fixture
def house(house: House, tmp_path: Path) -> House:
    """A house with a data folder of its own."""
    return replace(house, settings=house.settings.model_copy(update={"data_dir": tmp_path}))


def with_policy(house: House, **values: Any) -> House:
    mail = Mail(attachments=Attachments(**values))
    return replace(house, settings=house.settings.model_copy(update={"mail": mail}))


def with_files(*files: tuple[str, bytes], subject: str = "livre abîmé") -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"] = "Camille Martin <camille.martin@example.org>", "contact@librairie-tournesol.example"
    mail["Subject"], mail["Message-ID"] = subject, f"<{abs(hash((subject, files)))}@example.org>"
    mail.set_content("Bonjour, la couverture de mon livre est déchirée, voir la photo.")
    for name, content in files:
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()


def read(house: House, raw: bytes, **values: Any) -> list[Attachment]:
    """Take a mail in and read it; the files that its case then has."""
    with house.database.begin() as session:
        assert not is_received(session, raw)
        mail_id = receive(session, raw, source="test", **values).id
    assert worker.run_one(house, [READ_MAIL])
    with house.database.read() as session:
        assert session.get_one(InboundMail, mail_id).conversation_id is not None
        return list(session.scalars(select(Attachment).where(Attachment.mail_id == mail_id).order_by(Attachment.id)))


def on_disk(house: House) -> list[Path]:
    return sorted(path for path in house.settings.attachments_dir.glob("??/*"))


def test_a_photo_is_kept_beside_the_database_and_an_agent_gets_it(house: House) -> None:
    (photo,) = read(house, with_files(("couverture.jpg", PHOTO)))

    assert (photo.name, photo.size, photo.left_out) == ("couverture.jpg", len(PHOTO), "")
    assert [path.read_bytes() for path in on_disk(house)] == [PHOTO]
    assert on_disk(house)[0].name == photo.digest
    with house.database.begin() as session:
        add_demo_agents(session)
    browser = create_app(house).test_client()
    page = browser.get("/desk/login").text
    token = page.split('name="csrf-token" content="')[1].split('"')[0]
    browser.post("/desk/login", data={"login": "lea", "password": DEMO_PASSWORD, "csrf_token": token})
    assert browser.get(f"/desk/files/{photo.id}").data == PHOTO


def test_the_same_photo_in_two_mails_lies_there_once(house: House) -> None:
    (first,) = read(house, with_files(("a.jpg", PHOTO), subject="une"))
    (second,) = read(house, with_files(("b.jpg", PHOTO), subject="deux"))

    assert first.digest == second.digest
    assert len(on_disk(house)) == 1


def test_what_the_policy_leaves_out_is_named_with_size_and_reason(house: House) -> None:
    house = with_policy(house, largest_bytes=2000, total_bytes=2500)

    files = read(
        house,
        with_files(("film.mov", b"m" * 3000), ("a.jpg", b"a" * 1500), ("b.jpg", b"b" * 1500), ("jeu.exe", b"MZ"), ("c.txt", b"c")),
    )  # fmt: skip

    assert [(each.name, each.size, each.left_out) for each in files] == [
        ("film.mov", 3000, "too_big"),
        ("a.jpg", 1500, ""),
        ("b.jpg", 1500, "too_much"),
        ("jeu.exe", 2, "refused_type"),
        ("c.txt", 1, ""),
    ]
    assert [each.digest is not None for each in files] == [False, True, False, False, True]
    assert len(on_disk(house)) == 2


def test_a_shop_says_itself_which_types_it_refuses(house: House) -> None:
    house = with_policy(house, refused=[".HEIC", "zip"])

    files = read(house, with_files(("a.heic", b"a"), ("b.ZIP", b"b"), ("c.exe", b"c")))

    assert [each.left_out for each in files] == ["refused_type", "refused_type", ""]
    assert Attachments().refused == EXECUTABLES


def test_a_negative_size_is_no_policy() -> None:
    with pytest.raises(ValidationError):
        Attachments(largest_bytes=-1)


def test_of_a_mail_taken_in_by_its_beginning_the_last_file_is_named_only(house: House) -> None:
    raw = with_files(("whole.jpg", PHOTO), ("cut.mov", os.urandom(9000)))

    files = read(house, raw[:-4000], whole_bytes=80_000_000)

    assert [(each.name, each.left_out) for each in files] == [("whole.jpg", ""), ("cut.mov", "cut_off")]


def test_the_files_of_an_automatic_reply_are_not_kept(house: House) -> None:
    bounce = EmailMessage()
    bounce["From"], bounce["To"] = "mailer-daemon@example.net", "contact@librairie-tournesol.example"
    bounce["Subject"], bounce["Auto-Submitted"] = "Undelivered Mail Returned to Sender", "auto-replied"
    bounce.set_content("Your mail could not be delivered.")
    bounce.add_attachment(PHOTO, maintype="image", subtype="jpeg", filename="logo.jpg")

    mail_in.take_in(house.database, bounce.as_bytes(), "test", "")
    assert worker.run_one(house, [READ_MAIL])

    assert on_disk(house) == []


def test_a_full_disk_loses_nothing_the_mail_is_read_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = with_files(("photo.jpg", PHOTO))
    mail_in.take_in(house.database, raw, "test")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", _disk_full)
        worker.run_one(house, [READ_MAIL])
    assert on_disk(house) == []
    make_due(house)

    assert worker.run_one(house, [READ_MAIL])

    with house.database.read() as session:
        assert len(session.scalars(select(Attachment)).all()) == 1
        assert not quarantined(session)
    assert len(on_disk(house)) == 1


def _disk_full(_handle: int) -> None:
    raise OSError(28, "No space left on device")


def test_files_that_no_row_names_are_swept_and_those_of_cases_stay(house: House) -> None:
    (photo,) = read(house, with_files(("photo.jpg", PHOTO)))
    orphan = house.files.keep(b"a worker was killed before it named this")
    for path in on_disk(house):
        os.utime(path, (time.time() - 90_000, time.time() - 90_000))

    assert sweep_files(house) == 1
    assert [path.name for path in on_disk(house)] == [photo.digest]
    assert sweep_files(house, older_than=timedelta(0)) == 0
    assert house.files.path(orphan) is None


def test_the_sweeper_looks_for_them_by_itself(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = replace(house, stopping=threading.Event())
    orphan = house.files.keep(b"a worker was killed before it named this")
    for path in on_disk(house):
        os.utime(path, (time.time() - 90_000, time.time() - 90_000))
    monkeypatch.setattr(worker, "SWEEP_SECONDS", 0.05)
    workers = worker.Workers(house)

    workers.start()
    ends = time.monotonic() + 10
    while house.files.path(orphan) is not None and time.monotonic() < ends:
        time.sleep(0.05)
    workers.stop()

    assert house.files.path(orphan) is None


def test_the_api_names_files_as_the_desk_does(house: House) -> None:
    house = with_policy(house, largest_bytes=100)
    client = create_app(house).test_client()

    answer = client.post("/api/v1/triage", data=with_files(("a.jpg", PHOTO)), content_type="message/rfc822")

    assert [(each["name"], each["left_out"]) for each in answer.json["attachments"]] == [("a.jpg", "too_big")]
    assert base64.b64encode(PHOTO)[:40].decode() not in answer.text


def test_a_mail_without_files_makes_no_folder(house: House) -> None:
    assert read(house, letter()) == []
    assert not house.settings.attachments_dir.exists()
