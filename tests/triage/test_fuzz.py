"""Mutated and made-up mails through reading, trimming, deciding and drafting; `tests.bench.fuzz` does it for minutes."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.fuzz import check, generated, mutated, one_case
from tests.triage.test_read_mail import MIXED


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_no_mail_breaks_a_promise(seed: int) -> None:
    check(one_case(Random(seed), [MIXED]))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_no_change_to_a_good_mail_breaks_a_promise(seed: int) -> None:
    random = Random(seed)
    check(mutated(MIXED, random, [generated(random)]))
