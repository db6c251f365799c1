"""What bounces say: which mail, which address, for good or not."""

from __future__ import annotations

import json
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage import Failure, judge, read_delivery, read_mail

OURS = "<token.1@shop.example>"


def report(
    *recipients: str, told: str = "Your mail could not be delivered.", enclosed: str = "message/rfc822"
) -> bytes:
    original = f"Message-ID: {OURS}\r\nReferences: <theirs@client.example>\r\nSubject: Re: Colis\r\n\r\nBonjour\r\n"
    blocks = "\r\n\r\n".join(recipients)
    return (
        "From: MAILER-DAEMON@relay.example\r\nTo: contact@shop.example\r\nSubject: Undelivered Mail\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain\r\n\r\n{told}\r\n"
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\n{blocks}\r\n"
        f"--b\r\nContent-Type: {enclosed}\r\n\r\n{original}--b--\r\n"
    ).encode()


def recipient(action: str, status: str, diagnostic: str = "smtp; 550 5.1.1 no such user") -> str:
    return (
        f"Final-Recipient: rfc822; Jean@Client.example\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: {diagnostic}"
    )


def only(raw: bytes) -> Failure:
    (failure,) = read_delivery(raw).failures
    return failure


def test_a_permanent_failure_names_the_mail_the_address_and_the_reason() -> None:
    delivery = read_delivery(report(recipient("failed", "5.1.1")))
    assert delivery.original_ids == (OURS,), "the mails that ours answered did not come back"
    assert delivery.failures == (Failure("jean@client.example", "permanent", False, "5.1.1", "550 5.1.1 no such user"),)


def test_given_up_after_temporary_trouble_is_not_delivered_but_says_nothing_final_of_the_address() -> None:
    failure = only(report(recipient("failed", "4.4.7", "smtp; 421 4.4.7 timeout")))
    assert (failure.lasting, failure.delayed, failure.status) == ("temporary", False, "4.4.7")


def test_a_delay_is_no_failure_yet() -> None:
    failure = only(report(recipient("delayed", "4.4.1")))
    assert (failure.lasting, failure.delayed) == ("temporary", True)


def test_a_vague_status_gives_way_to_the_quoted_one() -> None:
    assert only(report(recipient("failed", "5.0.0", "smtp; 452 4.2.2 mailbox full"))).status == "4.2.2"


def test_success_is_no_failure() -> None:
    assert read_delivery(report(recipient("delivered", "2.1.5"))).failures == ()
    assert len(read_delivery(report(recipient("relayed", "2.0.0"), recipient("failed", "5.1.1"))).failures) == 1


def test_headers_alone_tell_which_mail_came_back() -> None:
    raw = report(recipient("failed", "5.1.1"), enclosed="text/rfc822-headers")
    assert read_delivery(raw).original_ids == (OURS,)


def test_a_bounce_in_words_is_read_by_its_codes() -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "MAILER-DAEMON@x.example", "contact@shop.example", "failure notice"
    mail.set_content(
        "Hi. This is the qmail-send program.\n\n<jean@client.example>:\n"
        "192.0.2.1 does not like recipient.\nRemote host said: 550 5.7.1 blocked\nGiving up.\n\n"
        f"--- Below this line is a copy of the message.\n\nMessage-ID: {OURS}\nSubject: x\n\nBonjour\n"
    )
    delivery = read_delivery(mail.as_bytes())
    assert delivery.original_ids == (OURS,)
    (failure,) = delivery.failures
    assert (failure.address, failure.lasting, failure.status) == ("jean@client.example", "permanent", "5.7.1")
    assert failure.reason.startswith("192.0.2.1 does not like recipient.")


@pytest.mark.parametrize("kind", ["message/feedback-report", "message/disposition-notification"])
def test_a_complaint_or_a_receipt_is_no_failure(kind: str) -> None:
    raw = report(recipient("failed", "5.1.1")).replace(b"message/delivery-status", kind.encode())
    assert read_delivery(raw).failures == ()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600))
def test_nothing_raises(noise: bytes) -> None:
    whole = report(recipient("failed", "5.1.1"))
    read_delivery(noise)
    read_delivery(whole[:400] + noise + whole[500:])


def test_a_bounce_in_html_alone_is_read() -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "mailer-daemon@x.example", "Delivery failed"
    mail.set_content("<p>Delivery to anna@c.example has failed: 452 4.2.2 mailbox full</p>", subtype="html")
    [failure] = read_delivery(mail.as_bytes()).failures
    assert (failure.address, failure.lasting, failure.status) == ("anna@c.example", "temporary", "4.2.2")


def test_nothing_has_failed_where_nothing_says_so() -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "anna@c.example", "Ma commande"
    mail.set_content("Je reviens lundi.")
    assert read_delivery(mail.as_bytes()).failures == ()


def test_the_public_bounces_are_classified_as_their_upstream_does(public_data: Path) -> None:
    folder = public_data / "mail"
    agree, found, stated = 0, 0, 0
    for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        results = (row["expected"] or {}).get("results") if row["source"] == "sisimai_bounces" else None
        if not results or not results[0][0]:
            continue
        raw = (folder / row["file"]).read_bytes()
        stated += 1
        failures = read_delivery(raw).failures
        found += bool(failures)
        agree += bool(failures) and (failures[0].lasting == "temporary") == results[0][0].startswith("4")
    assert stated > 250
    assert found / stated >= 0.97
    assert agree / stated >= 0.93


def test_out_of_office_is_an_auto_reply_and_no_bounce() -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "jean@client.example", "contact@shop.example", "Absence du bureau"
    mail["Auto-Submitted"] = "auto-replied"
    mail.set_content("Je suis absent.")
    verdict = judge(read_mail(mail.as_bytes()))
    assert verdict.is_auto_reply
    assert not verdict.is_bounce
    mail["List-Id"] = "<news.example>"
    assert not judge(read_mail(mail.as_bytes())).is_auto_reply, "a newsletter that says that it is automatic"
    assert judge(read_mail(report(recipient("failed", "5.1.1")))).is_bounce
