"""`comptoir triage` takes a few mails at a time: not more than memory bears, and none is lost when a source breaks off."""

from collections.abc import Iterator

import pytest

from service.cli import GROUP_BYTES, _groups

Source = tuple[str, bytes]


def test_mails_come_in_groups_and_big_ones_in_smaller_ones() -> None:
    big = b"x" * (GROUP_BYTES // 2 + 1)
    sources = [("a", big), ("b", big), *((str(number), b"y") for number in range(9))]
    groups = list(_groups(iter(sources), 8))
    assert [len(group) for group in groups] == [2, 8, 1]
    assert [source for group in groups for source in group] == sources


def test_what_was_read_before_a_source_breaks_off_comes_first() -> None:
    def breaking() -> Iterator[Source]:
        yield from (("a", b"1"), ("b", b"2"))
        raise OSError("gone")

    groups = _groups(breaking(), 8)
    assert next(groups) == [("a", b"1"), ("b", b"2")]
    with pytest.raises(OSError, match="gone"):
        next(groups)
