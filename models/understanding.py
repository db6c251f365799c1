"""One message read: its language, what its writer wants, whether a human is asked for, and the numbers in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from models.artifacts import current_folder, current_version
from models.corpus import OUT_OF_SCOPE, TALK_TO_HUMAN
from models.encoder import Encoder
from models.ensemble import HeadEnsemble
from models.entities import Entity, find_entities, without_entities
from models.human import HumanOpinion, HumanRequestDetector, talk_probabilities
from models.language import LanguageHead, LanguageReader
from models.motives import MotiveReader, Motives
from models.risk import Threshold

THRESHOLDS = "thresholds.json"
BY_ERROR_RATE = "by_error_rate"


@dataclass(frozen=True)
class ChatReading:
    """A chat message understood.

    `ranking`: every intent with its probability, descending; `out_of_scope` stands for "none of them". `confident`: the
    first intent's probability passes the threshold that training set for the stated error rate.
    """

    text: str
    language: str
    language_probability: float
    intent: str
    confidence: float
    confident: bool
    ranking: tuple[tuple[str, float], ...]
    wants_human: bool
    wants_human_probability: float
    order_numbers: tuple[str, ...]
    entities: tuple[Entity, ...]


@dataclass(frozen=True)
class MailReading:
    """A mail understood.

    `motives`: every motive with the probability that the mail gives it, descending; `predicted`: those it gives, never
    empty, in the order in which it comes to them: the first is `primary`. `confident`: as in `ChatReading`, for the
    primary motive; `error_rate`: the smallest error rate that training set a threshold for and the primary motive
    passes, 1.0 when it passes none. Offsets of `entities` count in subject, line break, body.
    """

    language: str
    language_probability: float
    motives: tuple[tuple[str, float], ...]
    primary: str
    predicted: tuple[str, ...]
    confident: bool
    error_rate: float
    wants_human: bool
    wants_human_probability: float
    order_numbers: tuple[str, ...]
    entities: tuple[Entity, ...]


class Understanding:
    """Reads chat messages and mails; safe to share between threads. Build with `load_understanding`.

    `chat_threshold` and `mail_threshold` are the probabilities from which a first intent or a primary motive is sure
    enough to act on; `mail_thresholds` are the same per error rate, where training has set several.
    """

    def __init__(
        self,
        language: LanguageReader,
        intents: HeadEnsemble,
        motives: MotiveReader,
        human: HumanRequestDetector,
        chat_threshold: float,
        mail_threshold: float,
        mail_thresholds: Mapping[float, float] | None = None,
    ) -> None:
        self._language = language
        self._intents = intents
        self._motives = motives
        self._human = human
        self.chat_threshold = chat_threshold
        self.mail_threshold = mail_threshold
        self.mail_thresholds = dict(mail_thresholds or {})

    @property
    def further_threshold(self) -> float:
        """The probability from which a mail is given a further motive beside the likeliest."""
        return self._motives.further_threshold

    @property
    def motives(self) -> tuple[str, ...]:
        """The motives that a mail can have, sorted."""
        return self._motives.labels

    def read_chat(self, text: str, language_hint: str | None = None) -> ChatReading:
        """Read one chat message. `language_hint`: the language of the conversation so far."""
        language, language_probability = self._language.read(text, language_hint)
        entities = find_entities(text)
        probabilities = self._intents.predict([without_entities(text)])[0]
        ranking = tuple(
            sorted(
                zip((*self._intents.labels, OUT_OF_SCOPE), map(float, probabilities), strict=True),
                key=lambda pair: -pair[1],
            )
        )
        intent, confidence = ranking[0]
        wants_human = float(self._human.chat_probabilities([text], [dict(ranking)[TALK_TO_HUMAN]])[0])
        return ChatReading(
            text=text,
            language=language,
            language_probability=language_probability,
            intent=intent,
            confidence=confidence,
            confident=confidence >= self.chat_threshold and intent != OUT_OF_SCOPE,
            ranking=ranking,
            wants_human=wants_human >= self._human.chat_threshold,
            wants_human_probability=wants_human,
            order_numbers=_order_numbers(entities),
            entities=entities,
        )

    def explain_human_in_chat(self, text: str) -> HumanOpinion:
        """Why `read_chat` says that `text` asks for a human, or does not."""
        probability = float(talk_probabilities(self._intents, [text])[0])
        return self._human.chat_opinion(text, probability)

    def explain_human_in_mail(self, subject: str, body: str) -> HumanOpinion:
        """Why `read_mail` says that a mail asks for a human, or does not."""
        return self._human.mail_opinion(subject, body)

    def read_mail(self, subject: str, body: str, language_hint: str | None = None) -> MailReading:
        """Read one mail, given its subject and its newest text (quoted history removed)."""
        return self.read_mails([(subject, body)], language_hint)[0]

    def read_mails(self, mails: Sequence[tuple[str, str]], language_hint: str | None = None) -> list[MailReading]:
        """`read_mail` for several, each a pair of subject and newest text: eight together take little more than half the time."""
        texts = [f"{subject}\n{body}" for subject, body in mails]
        languages = self._language.read_all(texts, language_hint)
        motives, wants_human = self._motives.read(mails), self._human.mail_probabilities(mails)
        return [
            self._mail_reading(text, language, found, float(human))
            for text, language, found, human in zip(texts, languages, motives, wants_human, strict=True)
        ]

    def _mail_reading(
        self, text: str, language: tuple[str, float], motives: Motives, wants_human: float
    ) -> MailReading:
        entities = find_entities(text)
        probability = dict(motives.ranking)[motives.primary]
        return MailReading(
            language=language[0],
            language_probability=language[1],
            motives=motives.ranking,
            primary=motives.primary,
            predicted=motives.predicted,
            confident=probability >= self.mail_threshold,
            error_rate=min((rate for rate, value in self.mail_thresholds.items() if probability >= value), default=1.0),
            wants_human=wants_human >= self._human.mail_threshold,
            wants_human_probability=wants_human,
            order_numbers=_order_numbers(entities),
            entities=entities,
        )


def load_understanding(artifacts: Path, encoder: Encoder, default_language: str = "fr") -> Understanding:
    """The served versions of the artefacts `chat`, `mail`, `human` and, where trained, `language`.

    Raises ArtifactError when one is missing, ValueError when one belongs to another encoder; both name the remedy.
    """
    chat, mail, human = (current_folder(artifacts, name) for name in ("chat", "mail", "human"))
    trained = current_version(artifacts, "language") is not None
    head = LanguageHead.load(current_folder(artifacts, "language")) if trained else None
    return Understanding(
        LanguageReader(head, default_language),
        HeadEnsemble.load(chat, encoder),
        MotiveReader.load(mail, encoder),
        HumanRequestDetector.load(human, encoder),
        chat_threshold=served_threshold(chat),
        mail_threshold=served_threshold(mail),
        mail_thresholds=read_thresholds(mail),
    )


def served_threshold(folder: Path) -> float:
    """The probability from which a version answers, as its training chose it."""
    return read_threshold(folder).value


def read_threshold(folder: Path) -> Threshold:
    """A version's threshold with the error rate it was chosen for and what it did on held-out text."""
    written = json.loads((folder / THRESHOLDS).read_text(encoding="utf-8"))
    return Threshold(**{each.name: written[each.name] for each in fields(Threshold)})


def read_thresholds(folder: Path) -> dict[float, float]:
    """A version's threshold for each error rate that its training chose one for, its own `target` among them."""
    written = json.loads((folder / THRESHOLDS).read_text(encoding="utf-8"))
    further = {float(rate): float(value) for rate, value in written.get(BY_ERROR_RATE, {}).items()}
    return further | {float(written["target"]): float(written["value"])}


def _order_numbers(entities: tuple[Entity, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entity.value for entity in entities if entity.kind == "order_number"))
