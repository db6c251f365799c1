"""Subjects that robots write, in the five languages: automatic replies, receipts, bounces.

Customers write about automatic replies and failed deliveries too ("Mail delivery problem with my parcel", "Absence : colis non
reçu"), and answer our own acknowledgement with "Re: Réponse automatique": only the very beginning of a subject counts, and only
how few people would begin one makes it a machine's without another sign.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Kind = Literal["auto_reply_subject", "bounce_subject", "automatic_subject"]

_END = r"\s*(?::|\]|\[|\(|–|-|$|(?=re\s*:))"
_AUTO_REPLY = re.compile(
    r"^\W*(?:"
    r"auto(?:matic(?:ally generated)?|mated)?[- ]?(?:reply|response|answer|respon[ds]er)|autoreply|"
    r"out[- ]of[- ](?:the[- ])?office(?: auto-?reply)?|vacation (?:reply|message)|"
    r"r[ée]ponse auto(?:matique)?(?: d['’]absence)?|(?:notification|message) d['’]absence|absente? du bureau|"
    r"absence du bureau|message automatique|"
    r"automatische (?:antwort|nachricht)|abwesenheits(?:notiz|nachricht|meldung|assistent)|"
    r"respuesta autom[áa]tica|contestaci[óo]n autom[áa]tica|fuera de (?:la )?oficina|ausente de la oficina|"
    r"risposta automatica|fuori (?:ufficio|sede)|assenza dall['’]ufficio|"
    r"accus[ée] de lecture|confirmation de lecture|lesebest[äa]tigung|conferma di lettura|confirmaci[óo]n de lectura"
    rf"){_END}",
    re.I,
)
_PERHAPS_AUTO_REPLY = re.compile(
    rf"^\W*(?:ooo|vacation|absence|absente?|en cong[ée]s?|abwesenheit|abwesend|ausente|ausencia|assente|assenza|"
    rf"read|lu|gelesen|le[íi]do|letto|not read|non lu|ungelesen|no le[íi]do|non letto){_END}",
    re.I,
)
_BOUNCE = re.compile(
    r"^\W*(?:"
    r"undeliver(?:able|ed)(?: (?:mail|message|e-?mail)| *:)|undelivered mail returned|"
    r"(?:mail|message|e-?mail) (?:delivery (?:failed|failure|status|system|notification)|could not be deliver)|"
    r"mailsystem|returned mail:|returned mail\b.*(?:see transcript|user unknown|unknown)|"
    r"delivery (?:status )?notification|failure notice|(?:mail|message) undeliverable|"
    r"notification de non[- ]remise|(?:avis|notification) de non[- ]remise d['’]un (?:message|mail|courriel)|"
    r"message non (?:d[ée]livr[ée]|distribu[ée]|remis)|"
    r"[ée]chec (?:de (?:la )?)?remise (?:du|d['’]un) message|"
    r"unzustellbare? (?:nachricht|e-?mail)|"
    r"mensaje no entregado|messaggio non recapitato|"
    r"complaint about message from \d|(?:considered )?unsolicited bulk email|banned contents from you|"
    r"virus (?:in mail )?from you"
    r")",
    re.I,
)
_PERHAPS_BOUNCE = re.compile(
    r"^\W*(?:(?:mail|message|e-?mail) (?:delivery (?:problem|error)|not deliver)|mail (?:system )?(?:error|failure)|"
    r"returned (?:mail|message)\b|delivery has failed|failed mail|zustellung fehlgeschlagen|"
    r"avis de non[- ]remise|notifica di mancato recapito|message non distribuable)",
    re.I,
)
# Said of mails and of parcels, and by people: enough to stay silent.
_AUTOMATIC = re.compile(
    r"(?:auto-?(?:reply|response)|automatic reply|r[ée]ponse automatique|message automatique|automatische antwort|"
    r"respuesta autom[áa]tica|"
    r"risposta automatica|out of (?:the )?office|absence du bureau|abwesenheit|abwesend|fuera de (?:la )?oficina|"
    r"fuori ufficio)"
    r"|^\W*(?:undeliverable|returned to sender|delivery (?:failure|failed|report|problem|error)|failed delivery|"
    r"failure delivery|non-?delivery|"
    r"non[- ]remis|[ée]chec (?:de (?:la )?)?(?:remise|distribution)|unzustellbar|nicht zustellbar|"
    r"no se puede entregar|no entregado|"
    r"mancato recapito|non recapitabile|impossibile recapitare|email delivery)",
    re.I,
)


@dataclass(frozen=True)
class SubjectSign:
    """What a subject looks like; `plain` when hardly a person begins one so."""

    kind: Kind
    plain: bool


_PATTERNS: tuple[tuple[re.Pattern[str], SubjectSign], ...] = (
    (_AUTO_REPLY, SubjectSign("auto_reply_subject", plain=True)),
    (_BOUNCE, SubjectSign("bounce_subject", plain=True)),
    (_PERHAPS_AUTO_REPLY, SubjectSign("auto_reply_subject", plain=False)),
    (_PERHAPS_BOUNCE, SubjectSign("bounce_subject", plain=False)),
)


def read_subject(subject: str) -> SubjectSign | None:
    """The sign in a decoded subject, None when it has none."""
    plain = unicodedata.normalize("NFC", subject)
    sign = next((sign for pattern, sign in _PATTERNS if pattern.match(plain)), None)
    if sign is None and _AUTOMATIC.search(plain):
        return SubjectSign("automatic_subject", plain=False)
    return sign
