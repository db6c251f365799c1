"""Which case a mail belongs to: a signed token in our addresses and Message-IDs, and `[#case]` in the subject.

A token is the case's id and a MAC over it, so nobody can make one for a case that they have no mail of. It is written in
small letters and digits only: mail servers change the case of addresses. The tag in the subject is not signed; it is the
last resort, and like the others it counts only for somebody who takes part in the case.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b32decode, b32encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from triage.headers import addresses
from triage.parse import Mail

MAC_BYTES = 10
TOKEN_LENGTH = 42
"""16 bytes of id and 10 of MAC in base32."""
MAX_IDS = 200

_TOKEN = re.compile(rf"(?<![a-z0-9])([a-z2-7]{{{TOKEN_LENGTH}}})(?![a-z0-9])")
_TAG = re.compile(r"\[#([0-9A-F]{8})\]", re.I)
_DELIVERED_TO = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-forwarded-to", "resent-to")


@dataclass(frozen=True)
class CaseMarks:
    """What a mail of ours carries so that its answer comes back to its case. `address` is None without plus addressing."""

    message_id: str
    address: str | None
    tag: str


@dataclass(frozen=True)
class NamedCases:
    """The cases that a mail names: ids signed in the addresses it was sent to, then in the ids of the mails that it answers,
    and the tags of its subject (the first eight digits of an id, in small letters)."""

    addressed: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaseSigner:
    """Writes and reads the marks of cases. `key` is secret, `address` ours; `plus` says that mail to `local+anything@domain`
    reaches us, so that the token can stand there."""

    key: bytes
    address: str
    plus: bool = False

    def marks(self, case_id: str) -> CaseMarks:
        """The marks of one new mail in the case `case_id` (a UUID)."""
        domain = self.address.rpartition("@")[2]
        message_id = f"<{self.token(case_id)}.{secrets.token_hex(8)}@{domain}>"
        return CaseMarks(message_id, self.address_of(case_id), case_tag(case_id))

    def address_of(self, case_id: str) -> str | None:
        """Our address that names a case; None without plus addressing."""
        local, _, domain = self.address.rpartition("@")
        return f"{local}+{self.token(case_id)}@{domain}" if self.plus else None

    def token(self, case_id: str) -> str:
        """The signed token of a case: 42 letters and digits."""
        name = UUID(case_id).bytes
        return b32encode(name + self._mac(name)).decode("ascii").rstrip("=").lower()

    def cases_in(self, text: str) -> Iterator[str]:
        """The ids of the cases whose token stands in `text`; a token that is not ours gives none."""
        for found in _TOKEN.findall(text.lower()):
            signed = b32decode(found.upper() + "=" * (-TOKEN_LENGTH % 8))
            name, mac = signed[:-MAC_BYTES], signed[-MAC_BYTES:]
            if hmac.compare_digest(mac, self._mac(name)):
                yield str(UUID(bytes=name))

    def named_in(self, mail: Mail, further_ids: Iterable[str] = ()) -> NamedCases:
        """The cases that `mail` names; `further_ids` are Message-IDs that it names elsewhere than in its headers."""
        to = [each.address for each in (*mail.to, *mail.cc)]
        to += [each.address for name in _DELIVERED_TO for each in addresses(mail.headers.get(name, ()))]
        # The newest id first: a long chain may have begun in another case.
        ids = [*further_ids, *reversed(mail.thread_ids)][:MAX_IDS]
        return NamedCases(
            addressed=self._all_in(address.partition("@")[0] for address in to[:MAX_IDS]),
            answered=self._all_in(ids),
            tags=tuple(dict.fromkeys(tag.lower() for tag in _TAG.findall(mail.subject))),
        )

    def _all_in(self, texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(case for text in texts for case in self.cases_in(text)))

    def _mac(self, name: bytes) -> bytes:
        return hmac.new(self.key, b"case" + name, hashlib.sha256).digest()[:MAC_BYTES]


def case_tag(case_id: str) -> str:
    """What an agent and a customer call a case: `[#3F9A1C0B]`."""
    return f"[#{case_id[:8].upper()}]"


def without_tags(subject: str) -> str:
    """`subject` without any case's tag."""
    return " ".join(_TAG.sub(" ", subject).split())
