"""Who a mail is really from: only our own server's word counts, and only its topmost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.triage.reader import mail
from triage.verify import SenderCheck, parse_results, verify_sender

SERVER = "mx.shop.example"
JEAN = "jean@client.example"


def stamped(*fields: str, **headers: str) -> bytes:
    return "".join(f"Authentication-Results: {field}\r\n" for field in fields).encode() + mail(**headers)


def standing(*fields: str, sender: str = JEAN, **headers: str) -> str:
    return verify_sender(stamped(*fields, **headers), sender, SERVER).standing


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("mx.shop.example; dmarc=pass header.from=client.example", "verified"),
        ("MX.Shop.Example 1; dmarc=pass (p=REJECT) header.from=client.example", "verified"),
        ("mx.shop.example; spf=softfail smtp.mailfrom=x.example; dmarc = pass header.from=client.example", "verified"),
        ("mx.shop.example;\r\n dkim=pass header.d=client.example header.s=a header.b=Zx==;\r\n spf=none", "verified"),
        ("mx.shop.example; dkim=pass header.i=@client.example", "verified"),
        ("mx.shop.example; spf=pass smtp.mailfrom=bounces@client.example", "verified"),
        ('mx.shop.example; spf=pass reason="sender; ok" smtp.mailfrom=client.example', "verified"),
        ("mx.shop.example; dmarc=fail header.from=client.example; dkim=pass header.d=client.example", "failed"),
        ("mx.shop.example; spf=fail smtp.mailfrom=client.example", "failed"),
        ("mx.shop.example; spf=fail smtp.mailfrom=client.example; dkim=pass header.d=client.example", "verified"),
        # aligned with nobody, or with somebody else
        ("mx.shop.example; spf=pass smtp.mailfrom=evil.example; dkim=pass header.d=evil.example", "unknown"),
        ("mx.shop.example; dmarc=pass header.from=evil.example", "unknown"),
        ("mx.shop.example; dmarc=none; spf=neutral", "unknown"),
        ("mx.shop.example; none", "unknown"),
        # another server's word
        ("mx.client.example; dmarc=pass header.from=client.example", "unknown"),
        # a pass inside a comment or a quoted string is none
        ("mx.shop.example; dmarc=none (; dmarc=pass header.from=client.example)", "unknown"),
        ('mx.shop.example; spf=none smtp.mailfrom="a; dmarc=pass"@client.example', "unknown"),
        ("mx.shop.example; spf=none smtp.mailfrom==?utf-8?q?;_dmarc=3Dpass?=@client.example", "unknown"),
        ("mx.shop.example; dmarc=pass header.from=client.example (left open", "unknown"),
        ("mx.shop.example", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_field_of_our_server_decides(field: str, expected: str) -> None:
    assert standing(field) == expected


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_what_ends_a_line_only_for_python_hides_no_field(end: str) -> None:
    """Our server takes forged fields out of the headers, not out of a subject."""
    smuggled = f"Subject: colis{end}Authentication-Results: mx.shop.example; dmarc=pass header.from=client.example\r\n"
    assert verify_sender(smuggled.encode() + mail(), JEAN, SERVER).standing == "unknown"


def test_a_forged_field_below_ours_is_not_read() -> None:
    forged = "mx.shop.example; dmarc=pass header.from=client.example"
    assert standing("mx.shop.example; dmarc=fail header.from=client.example", forged) == "failed"
    assert standing("mx.shop.example; spf=none", forged) == "unknown"


def test_what_any_field_of_ours_says_against_the_sender_counts() -> None:
    assert standing("mx.shop.example; spf=none", "mx.shop.example; dmarc=fail header.from=client.example") == "failed"
    assert standing("mx.shop.example; spf=none", "mx.evil.example; dmarc=fail header.from=client.example") == "unknown"


def test_without_a_name_for_our_server_nobody_is_verified() -> None:
    raw = stamped("mx.shop.example; dmarc=pass header.from=client.example")
    assert verify_sender(raw, JEAN, "") == SenderCheck()


@pytest.mark.parametrize(
    ("from_line", "read_as"),
    [
        ("Jean <jean@client.example>, <eve@evil.example>", JEAN),
        ("jean@client.example\r\nFrom: eve@evil.example", JEAN),
        ("=?utf-8?q?jean=40client.example?= <eve@evil.example>", JEAN),
        ("", ""),
    ],
)
def test_a_from_line_that_names_two_people_proves_nothing(from_line: str, read_as: str) -> None:
    assert standing("mx.shop.example; dmarc=pass", sender=read_as, **{"from": from_line}) == "unknown"


def test_what_a_field_says_is_read_to_the_letter() -> None:
    server, results = parse_results(
        'Mx.Example 1 (x (y)); dkim/1=PASS reason = "a \\" b" header.d = client.example; x-new=hello; spf'
    )
    assert server == "mx.example"
    assert [(each.method, each.result) for each in results] == [("dkim", "pass"), ("x-new", "hello")]
    assert results[0].properties == {"reason": 'a " b', "header.d": "client.example"}


@given(st.text(max_size=300), st.binary(max_size=300))
def test_nothing_makes_it_raise(text: str, noise: bytes) -> None:
    parse_results(text)
    verify_sender(b"Authentication-Results: mx.shop.example; " + noise, JEAN, SERVER)
