"""One mail gets one reply, whatever is killed: every moment between the two commits, on real SMTP."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import dkim
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from flask.testing import FlaskClient
from pydantic import ValidationError
from sqlalchemy import select

import desk
from desk import READ_MAIL, SEND_MAIL, Conversation, OutboundMail, OutboundState, Owner
from service import mail_in, worker
from service.mail_out import DkimSigner, Handover, PerhapsTaken, Relay, Sink, sent_mail, sent_mails
from service.settings import Mail
from service.wiring import House
from store import Job, utc_now
from tests.service.conftest import free_port
from tests.service.test_mail import letter, make_due, sweep_the_dead

OURS = "contact@librairie-tournesol.example"


class Killed(BaseException):
    """kill -9: nothing of ours catches it."""


@pytest.fixture
def sink(house: House, tmp_path: Path) -> Iterator[Path]:
    """The house's relay is a sink that can be asked what it has."""
    folder, port = tmp_path / "sent", free_port()
    running = Sink(folder, port)
    running.start()
    house.relay = Relay("127.0.0.1", port, OURS, kept_in=folder)
    yield folder
    running.stop()


@pytest.fixture
def case(house: House) -> str:
    mail_in.take_in(house.database, letter(), "test")
    assert worker.run_one(house, [READ_MAIL])
    with house.database.read() as session:
        return session.scalars(select(Conversation)).one().id


@pytest.fixture
def mail(house: House, case: str) -> int:
    """A reply in the outbox."""
    with house.database.begin() as session:
        conversation = desk.load(session, case)
        received = desk.latest_mail(session, case)
        assert received is not None
        composed = house.compose(conversation, received, "Léa", "Re: colis", "Il arrive.")
        known = {"message_id": composed.message_id, "recipient": composed.recipient, "raw": composed.raw}
        return desk.put_out(session, key="k", conversation_id=case, **known).id


def row(house: House, mail: int) -> OutboundMail:
    with house.database.read() as session:
        return session.get_one(OutboundMail, mail)


def work(house: House) -> None:
    make_due(house)
    while worker.run_one(house, [SEND_MAIL]):
        pass


def kill_at(monkeypatch: pytest.MonkeyPatch, house: House, target: object, name: str, *, after: bool = False) -> None:
    real = getattr(target, name)

    def deadly(*values: Any, **named: Any) -> None:
        if after:
            real(*values, **named)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(target, name, deadly)
        with pytest.raises(Killed):
            worker.run_one(house, [SEND_MAIL])
    sweep_the_dead(house)


MOMENTS = {
    "on the way to the relay": (Relay, "accepting", False),
    "before it is noted": (worker, "begin_sending", False),
    "noted, before the text": (Handover, "give", False),
    "taken by the relay, not noted": (Handover, "give", True),
    "taken and being noted": (worker, "mark_sent", True),
    "noted, the job not finished": (worker, "_finish", False),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_it_leaves_once(
    house: House, sink: Path, mail: int, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    target, name, after = MOMENTS[moment]
    kill_at(monkeypatch, house, target, name, after=after)
    work(house)
    assert len(sent_mails(sink)) == 1
    assert row(house, mail).state == OutboundState.SENT


@pytest.mark.parametrize(("moment", "left"), [("noted, before the text", 0), ("taken by the relay, not noted", 1)])
def test_a_relay_that_cannot_be_asked_leaves_it_to_an_agent(
    house: House, sink: Path, case: str, mail: int, monkeypatch: pytest.MonkeyPatch, moment: str, left: int
) -> None:
    house.relay = replace(house.relay, kept_in=None)
    with house.database.begin() as session:
        desk.load(session, case).owner = Owner.BOT
    target, name, after = MOMENTS[moment]
    kill_at(monkeypatch, house, target, name, after=after)

    work(house)

    assert row(house, mail).state == OutboundState.DOUBTFUL
    assert len(sent_mails(sink)) == left, "not sent again blindly"
    with house.database.begin() as session:
        assert desk.load(session, case).owner == Owner.QUEUE
        assert desk.send_again(session, mail)
    work(house)
    assert len(sent_mails(sink)) == left + 1
    assert row(house, mail).state == OutboundState.SENT
    ids = {message_from_bytes(sent_mail(sink, each["name"]) or b"")["Message-ID"] for each in sent_mails(sink)}
    assert ids == {row(house, mail).message_id}, "a mail program can tell that it has it already"


def test_killed_again_while_it_is_cleared_up_it_leaves_once(
    house: House, sink: Path, mail: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_at(monkeypatch, house, Handover, "give", after=True)
    with monkeypatch.context() as patched:
        patched.setattr(Relay, "has", lambda *_: (_ for _ in ()).throw(Killed()))
        make_due(house)
        with pytest.raises(Killed):
            worker.run_one(house, [SEND_MAIL])
    sweep_the_dead(house)
    work(house)
    assert len(sent_mails(sink)) == 1


def test_who_has_lost_the_job_sends_nothing(
    house: House, sink: Path, mail: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Relay.accepting

    @contextlib.contextmanager
    def slow(relay: Relay, recipient: str, **named: Any) -> Iterator[Handover]:
        with real(relay, recipient, **named) as hand:
            sweep_the_dead(house)
            yield hand

    monkeypatch.setattr(Relay, "accepting", slow)
    assert worker.run_one(house, [SEND_MAIL])
    assert sent_mails(sink) == []
    monkeypatch.undo()
    work(house)
    assert len(sent_mails(sink)) == 1


def test_while_the_relay_has_the_text_nobody_else_gets_the_job(
    house: House, sink: Path, mail: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_hand: Handover, _raw: bytes) -> None:
        with house.database.read() as session:
            job = session.scalars(select(Job).where(Job.kind == SEND_MAIL)).one()
            assert job.leased_until is not None
            assert job.leased_until - utc_now() > timedelta(minutes=10)

    monkeypatch.setattr(Handover, "give", look)
    assert worker.run_one(house, [SEND_MAIL])
    assert row(house, mail).state == OutboundState.SENT


def test_what_waits_for_a_human_is_counted_in_the_metrics(house: House, mail: int, client: FlaskClient) -> None:
    with house.database.begin() as session:
        desk.give_up_sending(session, mail, "x")
    told = client.get("/metrics").text
    assert 'comptoir_mail_rows{state="failed"} 1.0' in told
    assert 'comptoir_mail_rows{state="quarantined"} 0.0' in told


def test_an_agent_who_sends_again_at_once_is_not_forgotten(
    house: House, sink: Path, mail: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.relay = replace(house.relay, kept_in=None)
    kill_at(monkeypatch, house, Handover, "give")
    doubt = worker.leave_in_doubt

    def then_the_agent_clicks(*values: Any) -> None:
        doubt(*values)
        clicked.append(1)

    clicked: list[int] = []
    monkeypatch.setattr(worker, "leave_in_doubt", then_the_agent_clicks)
    finish, open_jobs = worker._finish, []

    def finished(session: Any, job: Job) -> None:
        open_jobs.append(row(house, mail).state)  # as everybody else sees it until the commit
        finish(session, job)

    monkeypatch.setattr(worker, "_finish", finished)
    make_due(house)
    assert worker.run_one(house, [SEND_MAIL])
    assert (clicked, open_jobs) == ([1], [OutboundState.SENDING])
    with house.database.begin() as session:
        assert desk.send_again(session, mail)
    work(house)
    assert row(house, mail).state == OutboundState.SENT


# ---- what relays say


class Says:
    """A relay that answers as it is told, and then does as it should."""

    def __init__(self, rcpt: str = "250 ok", data: str = "250 ok") -> None:
        self.rcpt, self.data, self.senders = rcpt, data, []

    async def handle_MAIL(self, _s: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        envelope.mail_from = address
        self.senders.append(address)
        return "250 ok"

    async def handle_RCPT(self, _s: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, *_: Any) -> str:  # noqa: N802
        return self.data


@contextlib.contextmanager
def relay_that(house: House, says: Says) -> Iterator[None]:
    port = free_port()
    controller = Controller(says, hostname="127.0.0.1", port=port)
    controller.start()
    house.relay = Relay("127.0.0.1", port, OURS)
    yield
    controller.stop()


def test_a_relay_gets_the_password_only_when_its_certificate_can_be_trusted(
    house: House, mail: int, tmp_path: Path
) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*request, *names], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    logins: list[Any] = []

    def authenticator(*told: Any) -> AuthResult:
        logins.append(told[-1])
        return AuthResult(success=True)

    port = free_port()
    controller = Controller(
        Says(), hostname="localhost", port=port, tls_context=context, require_starttls=True, authenticator=authenticator
    )
    controller.start()
    house.relay = Relay("localhost", port, OURS, "shop", "hunter2", starttls=True)
    assert worker.run_one(house, [SEND_MAIL])
    assert logins == []
    assert "CERTIFICATE_VERIFY_FAILED" in (row(house, mail).error or "")

    house.relay = replace(house.relay, ca_file=cert)
    make_due(house)
    assert worker.run_one(house, [SEND_MAIL])
    controller.stop()
    assert len(logins) == 1
    assert row(house, mail).state == OutboundState.SENT


def test_trouble_is_tried_again_after_growing_waits_for_a_day(house: House, mail: int) -> None:
    waits = []
    with relay_that(house, Says(data="451 4.3.0 later")):
        for _ in range(worker.SEND_TRIES):
            make_due(house)
            assert worker.run_one(house, [SEND_MAIL])
            with house.database.read() as session:
                waits.append(session.scalars(select(Job).where(Job.kind == SEND_MAIL)).one().due_at - utc_now())
            if len(waits) == 1:
                assert row(house, mail).state == OutboundState.WAITING
                assert row(house, mail).error == "451 4.3.0 later"
    assert [round(each.total_seconds()) for each in waits[:3]] == [2, 4, 8]
    assert timedelta(hours=20) < sum(waits[:-1], timedelta()) < timedelta(hours=30)
    assert row(house, mail).state == OutboundState.FAILED
    assert row(house, mail).error == "NotTaken: 451 4.3.0 later"


def test_a_final_refusal_is_not_tried_again(house: House, case: str, mail: int) -> None:
    with relay_that(house, Says(data="554 5.7.1 looks like spam")):
        work(house)
    assert (row(house, mail).state, row(house, mail).error) == (OutboundState.FAILED, "554 5.7.1 looks like spam")
    with house.database.read() as session:
        kinds = [(each.kind, each.body.get("reason")) for each in desk.events_after(session, case)]
        assert desk.trouble_with(session, "camille.martin@example.org") is None, "the mail is refused, not the address"
    assert ("escalated", "unsent") in kinds


@pytest.mark.parametrize(("answer", "marked"), [("550 5.1.1 no such user", True), ("554 5.7.1 no relaying", False)])
def test_only_an_unknown_recipient_marks_the_address(house: House, mail: int, answer: str, marked: bool) -> None:
    with relay_that(house, Says(rcpt=answer)):
        work(house)
    assert row(house, mail).error == answer
    with house.database.read() as session:
        assert (desk.trouble_with(session, "camille.martin@example.org") is not None) == marked


def test_bounces_go_to_an_address_that_names_the_case(house: House, case: str, mail: int) -> None:
    says = Says()
    house.settings = house.settings.model_copy(update={"mail": Mail(plus_addressing=True)})
    house.__dict__.pop("case_signer", None)
    with relay_that(house, says):
        work(house)
    (sender,) = says.senders
    assert list(house.case_signer.cases_in(sender)) == [case]


def answering(*lines: bytes, then_close: bool) -> tuple[int, list[bytes]]:
    """A relay of a few lines: answers in order, and says nothing to the text."""
    server = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        client, _ = server.accept()
        with client, server:
            client.sendall(lines[0])
            for line in lines[1:]:
                got.append(client.recv(4096))
                client.sendall(line)
            text = b""
            while not text.endswith(b"\r\n.\r\n"):
                text += client.recv(65536)
            got.append(text)
            if not then_close:
                client.sendall(b"250 ok\r\n")

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1], got


STEPS = (b"220 hello\r\n", b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")


def test_a_connection_that_breaks_before_the_answer_leaves_a_doubt(house: House, mail: int) -> None:
    port, got = answering(*STEPS, then_close=True)
    house.relay = Relay("127.0.0.1", port, OURS)
    assert worker.run_one(house, [SEND_MAIL])
    assert got[-1].endswith(b"\r\n.\r\n")
    assert row(house, mail).state == OutboundState.SENDING
    with house.database.read() as session:
        job = session.scalars(select(Job).where(Job.kind == SEND_MAIL)).one()
        assert job.due_at - utc_now() > timedelta(seconds=50), "the relay may still be busy with it"
        assert PerhapsTaken.__name__ in (job.error or "")
    work(house)
    assert row(house, mail).state == OutboundState.DOUBTFUL


def test_what_happens_after_250_changes_nothing(house: House, mail: int) -> None:
    port, _ = answering(*STEPS, then_close=False)
    house.relay = Relay("127.0.0.1", port, OURS)
    assert worker.run_one(house, [SEND_MAIL])
    assert row(house, mail).state == OutboundState.SENT


def test_dots_and_line_ends_arrive_as_they_are(sink: Path, house: House) -> None:
    raw = b"Subject: x\r\n\r\n.\r\n..\r\nbare\nlines\r\n"
    with house.relay.accepting("a@b.example") as hand:
        hand.give(raw)
    (kept,) = sent_mails(sink)
    assert sent_mail(sink, kept["name"]) == b"Subject: x\r\n\r\n.\r\n..\r\nbare\r\nlines\r\n"


def test_the_sink_is_asked_for_the_mail_itself_not_for_one_that_quotes_it(sink: Path, house: House) -> None:
    with house.relay.accepting("a@b.example") as hand:
        hand.give(b"Message-ID: <2@x>\r\nReferences: <1@x>\r\n\r\nMessage-ID: <1@x>\r\n")
    assert house.relay.has("<2@x>")
    assert house.relay.has("<1@x>") is False
    assert replace(house.relay, kept_in=None).has("<2@x>") is None


# ---- DKIM


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dkim") / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", path, "1024"], check=True, capture_output=True)
    return path


def test_a_key_signs_what_leaves(house: House, sink: Path, mail: int, key: Path) -> None:
    wanted = Mail(dkim_key=key, dkim_selector="s1", dkim_domain="librairie-tournesol.example")
    house.relay = replace(house.relay, dkim=DkimSigner.from_settings(wanted))
    work(house)
    raw = sent_mail(sink, sent_mails(sink)[0]["name"]) or b""
    public = subprocess.run(["openssl", "rsa", "-in", key, "-pubout"], check=True, capture_output=True).stdout
    record = b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])
    asked: list[bytes] = []

    def dns(name: bytes, **_: Any) -> bytes:
        asked.append(name)
        return record

    assert dkim.verify(raw, dnsfunc=dns)
    assert asked == [b"s1._domainkey.librairie-tournesol.example."]
    assert not dkim.verify(raw.replace(b"Il arrive", b"Il part"), dnsfunc=dns)


def test_the_settings_say_what_is_missing(tmp_path: Path, key: Path) -> None:
    with pytest.raises(ValidationError, match="go together"):
        Mail(dkim_key=key, dkim_selector="s1")
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(ValidationError, match="no RSA private key"):
        Mail(dkim_key=tmp_path / "no.pem", dkim_selector="s1", dkim_domain="x.example")
    with pytest.raises(ValidationError, match="no room for a case's token"):
        Mail(plus_addressing=True, address=f"{'c' * 22}@x.example")
