"""What is handed to the models, what is taken from them, and the one action for a mail."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.triage.reader import Reader, Reading, mail
from triage import Findings, OurSide, Policy, Rule, SenderCheck, Sent, decide, read_mail, sort, triage

ANSWER_TRACKING = Policy({"order_tracking": Rule("answer"), "complaint": Rule("queue")})
ANSWER_ALL = Policy(otherwise=Rule("answer"))
QUOTED = (
    "Toujours rien.\n\nLe 3 mars 2026 à 10:12, L <a@b.example> a écrit :\n> Votre commande CMD-2026-104233 est partie"
)


def test_only_subject_and_newest_text_are_sorted() -> None:
    reader = Reader()
    sort(read_mail(mail(QUOTED, subject="Re: colis")), reader)
    assert reader.asked == [("Re: colis", "Toujours rien.")]


def test_an_order_number_in_the_history_counts_only_when_none_is_given() -> None:
    read = read_mail(mail(QUOTED))
    assert sort(read, Reader()).order_numbers == ("CMD-2026-104233",)
    assert sort(read, Reader(Reading(order_numbers=("104871265",)))).order_numbers == ("104871265",)


def test_a_forward_without_a_word_is_sorted_by_what_it_forwards() -> None:
    reader = Reader()
    sort(
        read_mail(mail("---------- Forwarded message ---------\nDe : C\nDate : 3 mars\nObjet : x\n\nVotre colis")),
        reader,
    )
    assert "Votre colis" in reader.asked[0][1]


def test_motives_are_those_given_in_the_order_of_the_mail() -> None:
    sorting = sort(read_mail(mail()), Reader(Reading(predicted=("return", "order_tracking"))))
    assert [(guess.motive, guess.probability) for guess in sorting.motives] == [
        ("return", 0.6),
        ("order_tracking", 0.9),
    ]
    assert sorting.primary == "return"


SURE = Findings(SenderCheck("verified", "dmarc=pass"), order_answers=True)
TRACKED = Reading()
QUESTION = Reading(motives=(("product_question", 0.97),), predicted=("product_question",))


def decided(
    reading: Reading = TRACKED,
    policy: Policy = ANSWER_TRACKING,
    findings: Findings = SURE,
    raw: bytes = b"",
    **told: Any,
) -> tuple[str, tuple[str, ...]]:
    read = read_mail(raw or mail())
    decision = decide(read, sort(read, Reader(reading)), policy=policy, findings=findings, **told)
    return decision.action, decision.reasons


@pytest.mark.parametrize(
    ("reading", "policy", "action", "reasons"),
    [
        (Reading(), Policy(), "draft", ("policy",)),
        (Reading(), ANSWER_TRACKING, "answer", ("policy",)),
        (Reading(wants_human=True), ANSWER_TRACKING, "queue", ("wants_human",)),
        (Reading(error_rate=0.05), ANSWER_TRACKING, "draft", ("not_confident",)),
        (Reading(error_rate=0.05), Policy({"order_tracking": Rule("answer", 0.05)}), "answer", ("policy",)),
        (Reading(error_rate=0.01), Policy({"order_tracking": Rule("answer", 0.005)}), "draft", ("not_confident",)),
        (Reading(error_rate=1.0), ANSWER_ALL, "draft", ("not_confident",)),
        (Reading(predicted=("order_tracking", "return")), ANSWER_TRACKING, "draft", ("policy",)),
        (Reading(predicted=("order_tracking", "return")), ANSWER_ALL, "draft", ("several_motives",)),
        (Reading(predicted=("order_tracking", "complaint")), ANSWER_TRACKING, "queue", ("policy",)),
        (Reading(predicted=("complaint",)), ANSWER_TRACKING, "queue", ("policy",)),
    ],
)
def test_the_policy_is_data_and_the_rules_are_more_careful(
    reading: Reading, policy: Policy, action: str, reasons: tuple[str, ...]
) -> None:
    assert decided(reading, policy) == (action, reasons)


@pytest.mark.parametrize(
    ("findings", "against"),
    [
        (Findings(), ("sender_unverified",)),
        (Findings(order_answers=True, faq_answers=True), ("sender_unverified",)),
        (Findings(SenderCheck("failed", "dmarc=fail"), order_answers=True), ("sender_failed",)),
        (Findings(SenderCheck("verified", "dmarc=pass"), faq_answers=True), ("no_order_answer",)),
        (replace(SURE, first_mail=False), ("not_first_mail",)),
    ],
)
def test_order_facts_go_to_a_verified_sender_only(findings: Findings, against: tuple[str, ...]) -> None:
    assert decided(findings=findings) == ("draft", against)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (Findings(faq_answers=True), ("answer", ("policy",))),
        (Findings(SenderCheck("failed"), faq_answers=True), ("draft", ("sender_failed",))),
        (Findings(SenderCheck("verified"), order_answers=True), ("draft", ("no_faq_answer",))),
    ],
)
def test_an_faq_answer_needs_no_proof_but_no_forger_either(
    findings: Findings, expected: tuple[str, tuple[str, ...]]
) -> None:
    assert decided(QUESTION, ANSWER_ALL, findings) == expected


@pytest.mark.parametrize(
    ("hours", "desk_open", "action"),
    [
        ("always", True, "answer"),
        ("always", False, "answer"),
        ("open", True, "answer"),
        ("open", False, "draft"),
        ("closed", True, "draft"),
        ("closed", False, "answer"),
    ],
)
def test_hours_of_a_rule(hours: Any, desk_open: bool, action: str) -> None:
    policy = Policy({"order_tracking": Rule("answer", hours=hours)})
    assert decided(policy=policy, findings=replace(SURE, desk_open=desk_open))[0] == action


@pytest.mark.parametrize(
    ("raw", "against"),
    [
        (mail("Je saisis mon avocat"), "urgent"),
        (mail(reply_to="other@client.example"), "other_reply_address"),
        (mail(reply_to="jean@client.example"), None),
        (
            mail(
                "--b\r\n\r\nvoir photo\r\n--b\r\nContent-Type: image/jpeg; name=a.jpg\r\n"
                "Content-Disposition: attachment; filename=a.jpg\r\n\r\nx\r\n--b--\r\n",
                content_type="multipart/mixed; boundary=b",
            ),
            "attachment",
        ),
        (mail(x_auto_response_suppress="All"), "answer_suppressed"),
    ],
)
def test_what_a_machine_does_not_judge_is_left_to_a_human(raw: bytes, against: str | None) -> None:
    assert decided(raw=raw) == (("draft", (against,)) if against else ("answer", ("policy",)))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"ours": OurSide(frozenset({"other@shop.example"}))}, "not_addressed_to_us"),
        ({"sent": Sent(in_case=1)}, "case_answered"),
        ({"sent": Sent(to_sender_today=3)}, "sender_budget"),
        ({"sent": Sent(to_sender_today=1, per_sender_and_day=1)}, "sender_budget"),
        ({"sent": Sent(broken=True)}, "circuit_breaker"),
    ],
)
def test_what_is_withheld_is_drafted_not_answered(told: dict[str, Any], reason: str) -> None:
    assert decided(**told) == ("draft", (reason,))


def test_machine_mail_is_ignored_even_when_it_asks_for_a_human() -> None:
    decision = triage(mail(auto_submitted="auto-replied"), Reader(Reading(wants_human=True))).decision
    assert (decision.action, decision.reasons) == ("ignore", ("auto_submitted",))


@pytest.mark.parametrize(
    ("reading", "raw", "findings", "sent", "acknowledged"),
    [
        (Reading(), mail(), Findings(), Sent(), True),
        (Reading(wants_human=True), mail(), Findings(), Sent(), True),
        (Reading(), mail(), SURE, Sent(), False),  # answered, which says enough
        (Reading(), mail(), Findings(SenderCheck("failed")), Sent(), False),
        (Reading(), mail(), Findings(), Sent(in_case=1), False),
        (Reading(wants_human=True), mail(), Findings(first_mail=False), Sent(), False),
        (Reading(), mail(precedence="bulk"), Findings(), Sent(), False),
        (Reading(), mail(x_auto_response_suppress="OOF"), Findings(), Sent(), False),
    ],
)
def test_who_is_acknowledged(reading: Reading, raw: bytes, findings: Findings, sent: Sent, acknowledged: bool) -> None:
    read = read_mail(raw)
    for acknowledge in (True, False):
        policy = replace(ANSWER_TRACKING, acknowledge=acknowledge)
        decision = decide(read, sort(read, Reader(reading)), policy=policy, findings=findings, sent=sent)
        assert decision.acknowledge == (acknowledge and acknowledged)


def test_the_team_is_that_of_the_primary_motive() -> None:
    policy = Policy({"order_tracking": Rule("queue", team="Logistics"), "return": Rule(team="Returns")})
    decision = triage(mail(), Reader(Reading(predicted=("return", "order_tracking"))), policy=policy).decision
    assert (decision.action, decision.team) == ("queue", "Returns")


def test_without_facts_a_policy_that_answers_says_what_is_missing() -> None:
    decision = triage(mail(), Reader(), policy=ANSWER_TRACKING).decision
    assert (decision.action, decision.reasons) == ("draft", ("sender_unverified",))


def test_the_printed_object_has_what_it_promises() -> None:
    reading = replace(Reading(), order_numbers=("CMD-2026-104233",), wants_human=True, wants_human_probability=0.91234)
    shown = triage(mail(QUOTED + "\n", list_help="<mailto:x@y.example>"), Reader(reading)).to_dict()
    assert json.loads(json.dumps(shown)) == shown
    assert shown["message_id"] == "<1@client.example>"
    assert (shown["subject"], shown["from"], shown["language"]) == ("Ma commande", "jean@client.example", "fr")
    assert shown["motives"] == [{"motive": "order_tracking", "probability": 0.9}]
    assert (shown["wants_human"], shown["wants_human_probability"]) == (True, 0.9123)
    assert shown["order_numbers"] == ["CMD-2026-104233"]
    assert (shown["action"], shown["reasons"]) == ("ignore", ["mailing_list"])
    assert shown["machine"] == [{"reason": "mailing_list", "strength": "machine", "detail": "list-help"}]
    assert shown["urgency"] == {"score": 0, "urgent": False, "reasons": []}
    assert shown["sender"] == {"standing": "unknown", "why": ""}
    assert (shown["acknowledge"], shown["team"]) == (False, "")
    assert shown["text"] == "Toujours rien."
    assert shown["attachments"] == []
    assert shown["defects"] == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1500), st.sampled_from([b"", b"Content-Type: text/html\n\n", b"Subject: "]))
def test_whatever_is_thrown_at_it_gives_one_json_object(noise: bytes, start: bytes) -> None:
    line = json.dumps(triage(start + noise, Reader()).to_dict(), ensure_ascii=False)
    assert "\n" not in line
    assert json.loads(line.encode("utf-8"))["action"] in {"draft", "ignore"}
