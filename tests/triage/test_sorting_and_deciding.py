"""What is handed to the models, what is taken from them, and the one action for a mail."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.triage.reader import Reader, Reading, mail
from triage import OurSide, Policy, Sent, read_mail, sort, triage

ANSWER_TRACKING = Policy({"order_tracking": "answer", "complaint": "queue"})
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


def test_motives_are_those_given_likeliest_first() -> None:
    sorting = sort(read_mail(mail()), Reader(Reading(predicted=("return", "order_tracking"))))
    assert [(guess.motive, guess.probability) for guess in sorting.motives] == [
        ("order_tracking", 0.9),
        ("return", 0.6),
    ]
    assert sorting.primary == "order_tracking"


@pytest.mark.parametrize(
    ("reading", "policy", "action", "reasons"),
    [
        (Reading(), Policy(), "draft", ("policy",)),
        (Reading(wants_human=True), ANSWER_TRACKING, "queue", ("wants_human",)),
        (Reading(), ANSWER_TRACKING, "answer", ("policy",)),
        (Reading(confident=False), ANSWER_TRACKING, "draft", ("not_confident",)),
        (Reading(predicted=("order_tracking", "return")), ANSWER_TRACKING, "draft", ("policy",)),
        (Reading(predicted=("order_tracking", "complaint")), ANSWER_TRACKING, "queue", ("policy",)),
    ],
)
def test_the_policy_is_data_and_the_rules_are_more_careful(
    reading: Reading, policy: Policy, action: str, reasons: tuple[str, ...]
) -> None:
    decision = triage(mail(), Reader(reading), policy=policy).decision
    assert (decision.action, decision.reasons) == (action, reasons)


def test_machine_mail_is_ignored_even_when_it_asks_for_a_human() -> None:
    decision = triage(mail(auto_submitted="auto-replied"), Reader(Reading(wants_human=True))).decision
    assert (decision.action, decision.reasons) == ("ignore", ("auto_submitted",))


@pytest.mark.parametrize(
    "told",
    [
        {"ours": OurSide(frozenset({"other@shop.example"}))},
        {"sent": Sent(in_case=1)},
    ],
)
def test_what_is_withheld_is_drafted_not_answered(told: dict[str, OurSide | Sent]) -> None:
    assert triage(mail(), Reader(), policy=ANSWER_TRACKING, **told).decision.action == "draft"  # type: ignore[arg-type]


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
    assert shown["text"] == "Toujours rien."
    assert shown["attachments"] == []
    assert shown["defects"] == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1500), st.sampled_from([b"", b"Content-Type: text/html\n\n", b"Subject: "]))
def test_whatever_is_thrown_at_it_gives_one_json_object(noise: bytes, start: bytes) -> None:
    line = json.dumps(triage(start + noise, Reader()).to_dict(), ensure_ascii=False)
    assert "\n" not in line
    assert json.loads(line.encode("utf-8"))["action"] in {"draft", "ignore"}
