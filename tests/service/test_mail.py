"""Mail in and out over real SMTP on loopback: stored before 250, filed once, answered once."""

import contextlib
import smtplib
import threading
import time
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import func, select

from desk import (
    READ_MAIL,
    SEND_MAIL,
    Conversation,
    InboundMail,
    OutboundMail,
    Owner,
    claim_conversation,
    close,
    kept_raw,
    quarantined,
    read_again,
    send_answer,
    unmatched,
)
from models import MailReading
from service import mail_in, worker
from service.demo import add_demo_agents
from service.mail_in import DropFolder, Listener
from service.mail_out import Relay, Sink, sent_mails
from service.mail_reading import SortedMail, StudiedMail, study
from service.settings import Mail
from service.wiring import House
from store import Job, JobState
from tests.service.conftest import free_port
from triage import MAILS_TOGETHER, Composed, triage


def letter(
    subject: str = "colis pas arrivé", body: str = "Bonjour, ma commande CMD-2026-104233 n'est toujours pas là."
) -> bytes:
    mail = EmailMessage()
    mail["From"] = "Camille Martin <camille.martin@example.org>"
    mail["To"] = "contact@librairie-tournesol.example"
    mail["Subject"] = subject
    mail["Message-ID"] = f"<{abs(hash(subject + body))}@example.org>"
    mail.set_content(body)
    return mail.as_bytes()


DIFFERENT = (
    "Bonjour, ma commande n'est toujours pas là.",
    "Je voudrais renvoyer le livre, il ne me plaît pas.",
    "Wo bleibt mein Paket? Seit zwei Wochen warte ich.",
    "Il me faut une facture au nom de ma société.",
    "I was charged twice for the same order.",
    "Mon code promo ne marche pas dans le panier.",
    "Je souhaite parler à un conseiller, rappelez-moi.",
    "Vorrei cambiare l'indirizzo di consegna.",
    "El libro llegó roto, quiero el reembolso.",
    "Impossible de me connecter à mon compte.",
)


@pytest.fixture
def port(house: House) -> int:
    mail = Mail(listen_port=free_port())
    listener = Listener(house.database, mail)
    listener.start()
    yield mail.listen_port
    listener.stop()


def send(port: int, raw: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("camille.martin@example.org", ["contact@librairie-tournesol.example"], raw)


def count(house: House, table: type) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_250_is_said_after_the_mail_is_stored(house: House, port: int) -> None:
    send(port, letter())
    with house.database.read() as session:
        mail = session.scalars(select(InboundMail)).one()
        assert b"CMD-2026-104233" in mail.raw
        assert mail.envelope_from == "camille.martin@example.org"


def test_a_mail_that_cannot_be_stored_is_not_acknowledged(
    house: House, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(*_: object, **__: object) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(mail_in, "take_in", disk_full)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(port, letter())
    assert refused.value.smtp_code == 451


def test_the_same_bytes_twice_are_one_mail_and_one_case(house: House, port: int) -> None:
    for _ in range(3):
        send(port, letter())
    while worker.run_one(house, [READ_MAIL]):
        pass
    assert count(house, InboundMail) == 1
    assert count(house, Conversation) == 1


def test_a_mail_is_sorted_and_a_reply_is_drafted(house: House) -> None:
    mail_in.take_in(house.database, letter(), "test")
    assert worker.run_one(house, [READ_MAIL])
    with house.database.read() as session:
        mail = session.scalars(select(InboundMail)).one()
        conversation = session.scalars(select(Conversation)).one()
    assert conversation.owner == Owner.QUEUE
    assert mail.sorting is not None
    assert mail.sorting["language"] == "fr"
    assert mail.sorting["order_numbers"] == ["CMD-2026-104233"]
    assert mail.sorting["motives"]
    assert mail.draft is not None
    assert mail.draft["subject"] == "Re: colis pas arrivé"
    assert mail.draft["text"]
    assert "Colissimo" not in mail.draft["text"], "a From line proves nothing: no order data in a draft"


def test_an_automatic_reply_is_kept_and_opens_no_case(house: House) -> None:
    raw = b"Auto-Submitted: auto-replied\r\n" + letter("Absence du bureau", "Je suis en congé.")
    mail_in.take_in(house.database, raw, "test")
    assert worker.run_one(house, [READ_MAIL])
    assert count(house, Conversation) == 0
    with house.database.read() as session:
        (kept,) = unmatched(session)
        mail = session.get_one(InboundMail, kept.id)
        assert mail.sorting is not None
        assert mail.sorting["action"] == "ignore"
        assert mail.draft is None


def test_a_newsletter_is_kept_and_put_before_nobody(house: House) -> None:
    mail_in.take_in(house.database, b"List-Id: <news.example>\r\n" + letter("Nos nouveautés", "Achetez !"), "test")
    assert worker.run_one(house, [READ_MAIL])
    with house.database.read() as session:
        assert session.scalars(select(Conversation)).one().owner == Owner.BOT


def answered_by_lea(house: House, *, tries: int = 1) -> tuple[Conversation, Composed]:
    """A letter has come and an agent has claimed it and answered, pressing "send" so many times."""
    mail_in.take_in(house.database, letter(), "test")
    worker.run_one(house, [READ_MAIL])
    with house.database.begin() as session:
        add_demo_agents(session)
        conversation = session.scalars(select(Conversation)).one()
        mail = session.scalars(select(InboundMail)).one()
        assert claim_conversation(session, conversation.id, 1)
    composed = house.compose(conversation, mail, "Léa", "Re: colis pas arrivé", "Bonjour,\n\nIl arrive demain.")
    for _ in range(tries):
        with house.database.begin() as session:
            send_answer(
                session,
                conversation.id,
                1,
                key="reply-1",
                text="Il arrive demain.",
                message_id=composed.message_id,
                recipient=composed.recipient,
                raw=composed.raw,
            )
    return conversation, composed


def test_an_agents_answer_leaves_once_and_its_reply_joins_the_case(house: House, tmp_path: Path) -> None:
    sink = Sink(tmp_path / "sent", free_port())
    sink.start()
    relay_port = sink._controller.port
    house.relay = Relay("127.0.0.1", relay_port, "contact@librairie-tournesol.example")
    conversation, composed = answered_by_lea(house, tries=2)
    while worker.run_one(house, [SEND_MAIL]):
        pass
    sent = sent_mails(tmp_path / "sent")
    sink.stop()
    subject = f"Re: colis pas arrivé [#{conversation.id[:8].upper()}]"
    assert [(each["to"], each["subject"]) for each in sent] == [("camille.martin@example.org", subject)]
    assert count(house, OutboundMail) == 1
    answer = f"In-Reply-To: {composed.message_id}\r\n".encode() + letter("Re: colis pas arrivé", "Merci beaucoup !")
    mail_in.take_in(house.database, answer, "test")
    worker.run_one(house, [READ_MAIL])
    assert count(house, Conversation) == 1


def test_a_stranger_who_names_the_case_gets_a_case_of_their_own(house: House) -> None:
    mail_in.take_in(house.database, letter(), "test")
    worker.run_one(house, [READ_MAIL])
    with house.database.read() as session:
        known = session.scalars(select(InboundMail)).one().message_id
    stranger = letter("Re: colis pas arrivé", "et moi alors ?").replace(
        b"From: Camille Martin <camille.martin@example.org>", b"From: stranger@example.net"
    )
    mail_in.take_in(house.database, f"In-Reply-To: {known}\r\n".encode() + stranger, "test")
    worker.run_one(house, [READ_MAIL])
    assert count(house, Conversation) == 2


def test_the_drop_folder_takes_files_once(house: House, tmp_path: Path) -> None:
    folder = DropFolder(house.database, tmp_path / "drop")
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "one.eml").write_bytes(letter())
    assert folder.take_once() == 0, "a file just written may not be whole yet"
    time.sleep(1.1)
    assert folder.take_once() == 1
    assert folder.take_once() == 0
    assert count(house, InboundMail) == 1
    assert list((tmp_path / "taken").iterdir())


def test_a_mail_that_fails_three_times_waits_in_the_quarantine_until_it_is_read_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the model is gone")

    with monkeypatch.context() as broke:
        broke.setattr(house.understanding, "read_mails", broken)
        mail_in.take_in(house.database, letter(), "test")
        for _ in range(worker.READ_TRIES):
            make_due(house)
            assert worker.run_one(house, [READ_MAIL])
    with house.database.begin() as session:
        (kept,) = quarantined(session)
        assert kept.attempts == 3
        assert kept.failure == "RuntimeError: the model is gone"
        assert kept_raw(session, kept.id) == letter()
        assert read_again(session, kept.id)
    assert count(house, Conversation) == 0
    assert worker.run_one(house, [READ_MAIL])
    with house.database.read() as session:
        assert session.scalars(select(Conversation)).one().owner == Owner.QUEUE
        assert quarantined(session) == []


def test_a_mail_that_kills_its_workers_goes_to_the_quarantine(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def deadly(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(house.understanding, "read_mails", deadly)
    mail_in.take_in(house.database, letter(), "test")
    for _ in range(worker.READ_TRIES):
        make_due(house)
        with pytest.raises(Killed):
            worker.run_one(house, [READ_MAIL])
        sweep_the_dead(house)
    assert not worker.run_one(house, [READ_MAIL])
    with house.database.read() as session:
        assert [kept.failure for kept in quarantined(session)] == ["no worker outlived it"]


def test_mails_that_wait_are_read_together_as_each_would_be_alone(house: House) -> None:
    letters = [letter(f"Sujet {number}", body) for number, body in enumerate(DIFFERENT)]
    for raw in letters:
        mail_in.take_in(house.database, raw, "test")
    asked: list[int] = []
    real = house.understanding.read_mails

    def watched(mails: Sequence[tuple[str, str]], language_hint: str | None = None) -> list[MailReading]:
        asked.append(len(mails))
        return real(mails, language_hint)

    with pytest.MonkeyPatch.context() as watching:
        watching.setattr(house.understanding, "read_mails", watched)
        assert worker.read_some(house)
        assert worker.read_some(house)
        assert not worker.read_some(house)
    assert asked == [MAILS_TOGETHER, len(letters) - MAILS_TOGETHER]
    with house.database.read() as session:
        filed = session.scalars(select(InboundMail.sorting)).all()
    together = {sorting["subject"]: sorting["motives"] for sorting in filed}
    for raw in letters:
        alone = triage(raw, house.understanding).to_dict()
        assert [each["motive"] for each in together[alone["subject"]]] == [each["motive"] for each in alone["motives"]]


def test_a_mail_that_kills_its_reader_takes_no_other_along(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    real = house.understanding.read_mails

    def deadly(mails: Sequence[tuple[str, str]], language_hint: str | None = None) -> list[MailReading]:
        if any(subject == "Sujet 2" for subject, _ in mails):
            raise Killed
        return real(mails, language_hint)

    monkeypatch.setattr(house.understanding, "read_mails", deadly)
    for number, body in enumerate(DIFFERENT[:5]):
        mail_in.take_in(house.database, letter(f"Sujet {number}", body), "test")
    for _ in range(12):
        make_due(house)
        with contextlib.suppress(Killed):
            worker.read_some(house)
        sweep_the_dead(house)
    assert count(house, Conversation) == 4
    with house.database.read() as session:
        (kept,) = quarantined(session)
        assert kept_raw(session, kept.id) == letter("Sujet 2", DIFFERENT[2])


def test_mails_not_begun_when_the_worker_stops_go_back_untried(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def study_and_stop(house: House, found: SortedMail) -> StudiedMail:
        house.stopping.set()
        return study(house, found)

    monkeypatch.setattr(house, "stopping", threading.Event())
    monkeypatch.setattr(worker, "study", study_and_stop)
    for number, body in enumerate(DIFFERENT[:4]):
        mail_in.take_in(house.database, letter(f"Sujet {number}", body), "test")
    assert worker.read_some(house)
    with house.database.read() as session:
        jobs = session.execute(select(Job.state, Job.attempts).order_by(Job.id)).all()
    assert jobs == [(JobState.DONE, 1), *[(JobState.WAITING, 0)] * 3]


def test_a_sender_who_writes_again_is_known_to_though_both_mails_are_read_together(house: House) -> None:
    for subject in ("Ma commande", "Encore moi"):
        mail_in.take_in(house.database, letter(subject), "test")
    assert worker.read_some(house)
    with house.database.read() as session:
        sortings = session.scalars(select(InboundMail.sorting).order_by(InboundMail.id)).all()
    assert ["repeated" in sorting["urgency"]["reasons"] for sorting in sortings] == [False, True]


def test_a_big_mail_is_read_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "BIG_MAIL", 1000)
    letters = [letter("Petit", "un"), letter("Grand", "Où est mon colis ? " * 100), letter("Petit aussi", "deux")]
    for raw in letters:
        mail_in.take_in(house.database, raw, "test")
    asked: list[int] = []
    real = house.understanding.read_mails
    monkeypatch.setattr(
        house.understanding, "read_mails", lambda mails, hint=None: (asked.append(len(mails)), real(mails, hint))[1]
    )
    assert worker.read_some(house)
    assert asked == [2, 1]
    with house.database.read() as session:
        assert session.scalars(select(Job.state)).all() == [JobState.DONE] * 3


def make_due(house: House) -> None:
    with house.database.begin() as session:
        for job in session.scalars(select(Job)):
            job.due_at = job.created_at


def sweep_the_dead(house: House) -> None:
    """Time passes: the leases of dead workers run out."""
    with house.database.begin() as session:
        for job in session.scalars(select(Job).where(Job.state == JobState.RUNNING)):
            job.leased_until = job.created_at
    worker.sweep_once(house)


def test_a_reply_that_cannot_leave_comes_back_into_the_queue(house: House) -> None:
    house.relay = Relay("127.0.0.1", free_port(), "contact@librairie-tournesol.example")
    conversation, _ = answered_by_lea(house)
    with house.database.begin() as session:
        assert close(session, conversation.id, 1, seen=10**6)
    for _ in range(worker.SEND_TRIES):
        make_due(house)
        assert worker.run_one(house, [SEND_MAIL])
    with house.database.read() as session:
        assert session.scalars(select(Conversation)).one().owner == Owner.QUEUE


def test_a_file_that_cannot_be_taken_holds_up_no_other(house: House, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a-dead-link.eml").symlink_to(tmp_path / "nowhere")
    (drop / "b.eml").write_bytes(letter())
    time.sleep(1.1)
    assert DropFolder(house.database, drop).take_once() >= 1
    assert list(drop.iterdir()) == []
