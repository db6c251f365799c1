"""The marks of a case: a token that only we can make, and a tag that people can read."""

from __future__ import annotations

import email
import email.policy
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.settings import LONGEST_PLUS_LOCAL
from tests.triage.reader import mail
from triage import CaseSigner, OurSide, compose, judge, read_mail, reply_subject

CASE = "3f9a1c0b-1111-4222-8333-444455556666"
OTHER = "00000000-1111-4222-8333-444455556666"
SHOP = CaseSigner(b"a secret", "contact@shop.example", plus=True)


def sent(signer: CaseSigner = SHOP, subject: str = "Re: Colis") -> email.message.Message:
    composed = compose(
        sender=signer.address,
        sender_name="Léa, Librairie",
        recipient="jean@client.example",
        subject=subject,
        text="Bonjour",
        language="fr",
        now=datetime(2026, 3, 2, tzinfo=UTC),
        case=signer.marks(CASE),
    )
    for written in filter(None, (composed.message_id, signer.address_of(CASE))):
        assert written.encode() in composed.raw, "folded or encoded, it is read by nobody"
    message = email.message_from_bytes(composed.raw, policy=email.policy.default)
    assert message["Message-ID"] == composed.message_id
    return message


def test_what_we_send_names_its_case_three_times() -> None:
    message = sent()
    assert list(SHOP.cases_in(message["Message-ID"])) == [CASE]
    assert list(SHOP.cases_in(message["Reply-To"].addresses[0].addr_spec)) == [CASE]
    assert message["Reply-To"].addresses[0].domain == "shop.example"
    assert message["Subject"] == "Re: Colis [#3F9A1C0B]"


def test_a_long_address_is_written_whole() -> None:
    signer = CaseSigner(b"a secret", f"{'c' * LONGEST_PLUS_LOCAL}@librairie-tournesol-de-la-place.example", plus=True)
    address = signer.address_of(CASE)
    assert address is not None
    assert len(address.split("@")[0]) <= 64
    assert sent(signer)["Reply-To"].addresses[0].addr_spec == address


def test_without_plus_addressing_there_is_no_reply_to() -> None:
    signer = CaseSigner(b"a secret", "contact@shop.example")
    assert sent(signer)["Reply-To"] is None
    assert list(signer.cases_in(sent(signer)["Message-ID"])) == [CASE]


@pytest.mark.parametrize(
    "subject",
    [
        "Colis",
        "Re: Colis [#3F9A1C0B]",
        "RE: AW: Antw: SV: TR: RIF: WG: Fwd: Colis [#3f9a1c0b]",
        "[#00000000] Re: Colis",
    ],
)
def test_a_subject_has_one_re_and_one_tag(subject: str) -> None:
    assert sent(subject=reply_subject(subject))["Subject"] == "Re: Colis [#3F9A1C0B]"


def test_a_long_subject_keeps_its_tag() -> None:
    assert sent(subject="x" * 900)["Subject"].endswith("x [#3F9A1C0B]")


def test_a_token_of_another_key_or_another_case_is_nobodys() -> None:
    foreign = CaseSigner(b"another secret", "contact@shop.example", plus=True)
    assert list(SHOP.cases_in(foreign.token(CASE))) == []
    mixed = SHOP.token(OTHER)[:26] + SHOP.token(CASE)[26:]
    assert list(SHOP.cases_in(mixed)) == []


@given(st.integers(0, 40), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_letter_changed_and_it_is_no_token(at: int, letter: str) -> None:
    token = SHOP.token(CASE)
    changed = token[:at] + letter + token[at + 1 :]
    assert list(SHOP.cases_in(changed)) == ([CASE] if changed == token else [])


@given(st.text(max_size=300))
def test_no_text_is_read_as_a_case_or_raises(text: str) -> None:
    assert list(SHOP.cases_in(text)) == []


def test_a_mail_server_may_change_the_case_of_an_address() -> None:
    assert list(SHOP.cases_in(SHOP.token(CASE).upper())) == [CASE]


def named(**headers: str) -> tuple[tuple[str, ...], ...]:
    read = read_mail(mail(**headers))
    cases = SHOP.named_in(read)
    return cases.addressed, cases.answered, cases.tags


def test_cases_are_found_in_the_address_the_answered_mails_and_the_subject() -> None:
    address = SHOP.address_of(CASE) or ""
    assert named(to=f"Librairie <{address}>")[0] == (CASE,)
    assert named(**{"to": "undisclosed-recipients:;", "delivered-to": address})[0] == (CASE,)
    first, last = SHOP.marks(OTHER).message_id, SHOP.marks(CASE).message_id
    assert named(references=f"{first} <x@y> {last}")[1] == (CASE, OTHER), "the newest first"
    assert named(**{"in-reply-to": last})[1] == (CASE,)
    assert named(subject="Re: Colis [#3F9A1C0B] [#3f9a1c0b]")[2] == ("3f9a1c0b",)


def test_our_signed_address_is_ours() -> None:
    ours = OurSide(frozenset({"contact@shop.example"}))
    address = SHOP.address_of(str(uuid.uuid4())) or ""
    assert ours.owns(address)
    assert not ours.owns("contact+x@elsewhere.example")
    verdict = judge(read_mail(mail(to=address)), ours)
    assert "not_addressed_to_us" not in verdict.names
    assert "own_address" in judge(read_mail(mail(**{"from": address})), ours).names
