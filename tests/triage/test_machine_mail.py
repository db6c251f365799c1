"""Who is a machine, and what may never be answered automatically: one test a rule, and the people who must get through."""

from __future__ import annotations

import unicodedata

import pytest

from tests.triage.reader import mail
from triage import OurSide, Sent, judge, read_mail

OURS = OurSide(frozenset({"contact@librairie-tournesol.example"}), "mx.librairie-tournesol.example")
REPORT = (
    "--x\n\nYour mail was not delivered\n--x\nContent-Type: message/delivery-status\n\n"
    "Action: failed\nStatus: 5.1.1\n--x--\n"
)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"return_path": "<>"}, "null_sender"),
        ({"return_path": "<MAILER-DAEMON@x.example>"}, "daemon_sender"),
        ({"auto_submitted": "auto-replied"}, "auto_submitted"),
        ({"auto_submitted": "auto-generated (vacation)"}, "auto_submitted"),
        ({"list_id": "<news.x.example>"}, "mailing_list"),
        ({"list_unsubscribe": "<https://x.example/u>"}, "mailing_list"),
        ({"precedence": "bulk"}, "precedence"),
        ({"x_precedence": "auto_reply"}, "precedence"),
        ({"x_autoreply": "yes"}, "automatic_header"),
        ({"x_failed_recipients": "a@b.example"}, "failed_recipients"),
        ({"x_fc_machinegenerated": "true"}, "automatic_header"),
        ({"from": "Mail Delivery System <mailer-daemon@x.example>"}, "daemon_sender"),
        ({"from": "postmaster@x.example"}, "daemon_sender"),
        ({"subject": "Réponse automatique : Ma commande"}, "auto_reply_subject"),
        ({"subject": "Absence du bureau"}, "auto_reply_subject"),
        ({"subject": "Abwesenheitsnotiz: Bestellung"}, "auto_reply_subject"),
        ({"subject": "Respuesta automática: pedido"}, "auto_reply_subject"),
        ({"subject": "Risposta automatica: ordine"}, "auto_reply_subject"),
        ({"subject": "Out of Office: order"}, "auto_reply_subject"),
        ({"subject": "Undeliverable: Votre commande"}, "bounce_subject"),
        ({"subject": "Message non distribué : Ihre Bestellung"}, "bounce_subject"),
        ({"subject": "Lu : Votre commande", "precedence": "auto_reply"}, "auto_reply_subject"),
        ({"subject": "Absence Re: votre colis", "precedence": "auto_reply"}, "auto_reply_subject"),
        ({"subject": "Mail delivery problem", "return_path": "<>"}, "bounce_subject"),
        ({"subject": unicodedata.normalize("NFD", "Réponse automatique : Ma commande")}, "auto_reply_subject"),
        ({"subject": "Notifica di mancato recapito", "return_path": "<>"}, "bounce_subject"),
        ({"subject": "Avis de non-remise", "from": "mailer-daemon@x.example"}, "bounce_subject"),
        ({"subject": "OOO: order", "auto_submitted": "auto-replied"}, "auto_reply_subject"),
        ({"auto_submitted": "(vacation) auto-replied"}, "auto_submitted"),
        ({"list_software": "Sympa"}, "mailing_list"),
        ({"from": "mailer_daemon@x.example"}, "daemon_sender"),
        ({"return_path": "<daemon@x.example>"}, "daemon_sender"),
    ],
)
def test_machine_mail_is_recognised_by_one_sign(headers: dict[str, str], reason: str) -> None:
    verdict = judge(read_mail(mail(**headers)))
    assert verdict.is_machine
    assert reason in verdict.names
    assert not verdict.may_be_answered


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (b"X-Auto-Response-Suppress: DR\r\nX-Auto-Response-Suppress: OOF\r\n", "answer_suppressed"),
        (b"Auto-Submitted: \r\n", "auto_submitted"),
        (b"Precedence: normal\r\nPrecedence: bulk\r\n", "precedence"),
        (b"X-Autoreply: no\r\nX-Autoreply: yes\r\n", "automatic_header"),
        (b"X-Filler: a\r\n" * 1000 + b"Auto-Submitted: auto-replied\r\n", "headers_cut"),
    ],
)
def test_every_value_of_a_header_counts(lines: bytes, reason: str) -> None:
    verdict = judge(read_mail(lines + mail()))
    assert reason in verdict.names
    assert not verdict.may_be_answered


@pytest.mark.parametrize(
    "headers",
    [
        {"auto_submitted": "auto-replied"},
        {"subject": "Lu : Votre commande"},
        {"subject": "Abwesenheitsnotiz: Bestellung"},
        {"x_autoreply": "yes"},
    ],
)
def test_a_program_that_answers_for_somebody_is_no_bounce_though_its_sender_is_null(headers: dict[str, str]) -> None:
    verdict = judge(read_mail(mail(**headers), envelope_from=""))
    assert (verdict.is_auto_reply, verdict.is_bounce) == (True, False)


def test_the_receipt_of_a_ticket_is_an_auto_reply_and_a_newsletter_is_none() -> None:
    receipt = {"auto_submitted": "auto-replied", "list_unsubscribe": "<https://x.example/u>"}
    assert judge(read_mail(mail(**receipt))).is_auto_reply
    assert not judge(read_mail(mail(**receipt, list_id="<news.x.example>"))).is_auto_reply


def test_reports_are_machine_mail_and_a_forwarded_report_is_not() -> None:
    report = mail(REPORT, content_type='multipart/report; report-type=delivery-status; boundary="x"')
    assert judge(read_mail(report)).is_bounce
    enclosed = "--y\n\nQue faire ?\n--y\nContent-Type: message/rfc822\n\n" + report.decode() + "\n--y--\n"
    forwarded = judge(read_mail(mail(enclosed, content_type='multipart/mixed; boundary="y"')))
    assert not forwarded.is_machine
    assert not forwarded.may_be_answered


def test_a_mail_whose_headers_were_not_all_read_is_not_answered_by_itself() -> None:
    long = b"X-Filler: " + b"a" * 3_000_000 + b"\r\nAuto-Submitted: auto-replied\r\n"
    verdict = judge(read_mail(long + mail()))
    assert "headers_cut" in verdict.names
    assert not verdict.may_be_answered


def test_going_round_in_a_loop_is_machine_mail() -> None:
    hop = b"Received: from a by b; Mon, 2 Mar 2026 10:12:00 +0000\r\n"
    assert judge(read_mail(hop * 101 + mail())).is_machine
    assert judge(read_mail(hop * 20 + mail())).may_be_answered


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"x_auto_response_suppress": "DR, AutoReply"}, "answer_suppressed"),
        ({"x_auto_response_suppress": "All"}, "answer_suppressed"),
        ({"from": "no-reply@marketplace.example"}, "no_reply_sender"),
        ({"from": "ne-pas-repondre@marketplace.example"}, "no_reply_sender"),
        ({"from": "ne_pas_repondre@marketplace.example"}, "no_reply_sender"),
        ({"from": "ne.pas.repondre@marketplace.example"}, "no_reply_sender"),
        ({"from": "bitte-nicht-antworten@marketplace.example"}, "no_reply_sender"),
        ({"from": "shop.no-responda@marketplace.example"}, "no_reply_sender"),
        ({"from": "pas-de-reponse@marketplace.example"}, "no_reply_sender"),
        ({"from": "sin-respuesta@marketplace.example"}, "no_reply_sender"),
        ({"from": "do-not-respond@marketplace.example"}, "no_reply_sender"),
        ({"from": "no-reply2@marketplace.example"}, "no_reply_sender"),
        ({"from": ""}, "no_sender"),
        ({"from": "", "sender": "somebody@client.example"}, "no_sender"),
        ({"x_auto_response_suppress": "DR; OOF"}, "answer_suppressed"),
        ({"subject": "Mail delivery problem with my parcel"}, "bounce_subject"),
        ({"subject": "Returned message unanswered, please call me"}, "bounce_subject"),
        ({"subject": "Absence : colis non reçu"}, "auto_reply_subject"),
        ({"subject": "Lu : votre réponse, je ne suis pas d'accord"}, "auto_reply_subject"),
        ({"subject": "Read - order 4711 missing book"}, "auto_reply_subject"),
        ({"subject": "Letto (libro) arrivato rotto"}, "auto_reply_subject"),
        ({"subject": "Vacation - please hold my parcel"}, "auto_reply_subject"),
        ({"subject": "Avis de non remise : colis 104233"}, "bounce_subject"),
        ({"subject": "Notifica di mancato recapito pacco 104233"}, "bounce_subject"),
        ({"subject": "Absence : colis 104233", "x_auto_response_suppress": "DR, OOF, AutoReply"}, "auto_reply_subject"),
        (
            {"subject": "En congé - reporter la livraison", "auto_submitted": "auto-generated", "reply_to": "c@home.example"},
            "auto_reply_subject",
        ),
        ({"from": "contact@librairie-tournesol.example"}, "own_address"),
        ({"reply_to": "contact@librairie-tournesol.example"}, "answer_to_ourselves"),
        ({"reply_to": "me@home.example, contact@librairie-tournesol.example"}, "answer_to_ourselves"),
        ({"to": "somebody@else.example"}, "not_addressed_to_us"),
        ({"authentication_results": "mx.librairie-tournesol.example; dmarc=fail header.from=client.example"}, "dmarc_failed"),
        ({"subject": "Re: Réponse automatique : votre demande"}, "automatic_subject"),
        ({"subject": "Votre réponse automatique ne m'aide pas"}, "automatic_subject"),
        ({"subject": "Échec de distribution de mon colis"}, "automatic_subject"),
        ({"subject": "Returned to sender, again"}, "automatic_subject"),
        ({"auto_submitted": "auto-generated", "reply_to": "client@home.example"}, "auto_submitted"),
        ({"list_id": "<contact.librairie-tournesol.example>"}, "mailing_list"),
    ],
)  # fmt: skip
def test_a_mail_that_a_person_may_have_written_is_withheld_but_kept(headers: dict[str, str], reason: str) -> None:
    verdict = judge(read_mail(mail(**headers)), OURS)
    assert reason in verdict.names
    assert not verdict.is_machine
    assert not verdict.may_be_answered


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"auto_submitted": "no"},
        {"subject": "Re: Réponse à votre message"},
        {"subject": "Livraison échouée, que faire ?"},
        {"subject": "My delivery failed yesterday, where is my parcel?"},
        {"subject": "colis undeliverable ?"},
        {"subject": "Absence de suivi depuis une semaine"},
        {"subject": "En congé lundi, livrez mardi"},
        {"subject": "Je suis absente lundi, livrez mardi"},
        {"subject": "Lu sur votre site : livraison gratuite ?"},
        {"from": "Noé Reply <noe.reply@client.example>"},
        {"from": "bouncer.club@client.example"},
        {"authentication_results": "mx.evil.example; dmarc=fail"},
        {"precedence": "normal"},
        {"return_path": "<jean@client.example>"},
        {"x_auto_response_suppress": "None"},
    ],
)
def test_people_get_through(headers: dict[str, str]) -> None:
    assert judge(read_mail(mail(**headers)), OURS).reasons == ()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (Sent(in_case=1), "case_answered"),
        (Sent(to_sender_today=3), "sender_budget"),
        (Sent(broken=True), "circuit_breaker"),
    ],
)
def test_the_budget_withholds_and_ignores_nobody(sent: Sent, reason: str) -> None:
    verdict = judge(read_mail(mail()), OURS, sent)
    assert verdict.names == (reason,)
    assert not verdict.is_machine


def test_a_null_sender_told_by_the_mail_server_counts() -> None:
    assert judge(read_mail(mail(), envelope_from="")).is_bounce
    assert judge(read_mail(mail(), envelope_from="jean@client.example")).may_be_answered
