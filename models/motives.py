"""The motives of a mail: which of the shop's contact reasons it gives, several at once, each with its own probability.

The mail is read twice by one head ensemble: as a whole, and sentence by sentence, because a second motive often takes
one sentence of a long mail. The vector of the whole is the mean of its sentences' vectors. The log-odds that a motive is
present are a weighted sum of what the whole says and of what its strongest sentence says; the weights are the same for
all motives and fitted on held-out mails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from models.artifacts import require_method
from models.corpus import Example, MailExample
from models.encoder import BySentence, Encoder
from models.ensemble import HeadEnsemble, Probabilities
from models.entities import without_entities
from models.sentences import split_sentences

OTHER = "other"  # the motive of a mail that has none: it stands alone
METHOD = "motives-4"
SHORTEST_SUBJECT = 4


@dataclass(frozen=True)
class Presence:
    """Log-odds that a motive is present = bias + whole * log-odds of the whole + sentence * log-odds of its best sentence."""

    bias: float = 0.0
    whole: float = 0.8
    sentence: float = 0.4


@dataclass(frozen=True)
class Motives:
    """`ranking`: every motive with the probability that the mail gives it, descending.

    `predicted`: those it gives, never empty, in the order in which the mail comes to them.
    """

    ranking: tuple[tuple[str, float], ...]
    predicted: tuple[str, ...]

    @property
    def primary(self) -> str:
        return self.predicted[0]


class MotiveReader:
    """Build with `fit` or `load`; safe to share between threads. Attributes: `labels`, `further_threshold`."""

    def __init__(self, ensemble: HeadEnsemble, presence: Presence = Presence(), further_threshold: float = 0.4) -> None:
        self._ensemble = ensemble
        self.labels = ensemble.labels
        self.presence = presence
        self.further_threshold = further_threshold

    @classmethod
    def fit(
        cls,
        encoder: Encoder,
        mails: Sequence[MailExample],
        turns: Sequence[Example] = (),
        frozen: Sequence[MailExample] = (),
        progress: Callable[[str], None] = lambda step: None,
    ) -> MotiveReader:
        """Train on mails (by their first motive) and on chat turns whose intent is a motive; fit the rest on `frozen`.

        From sentences of mails with one motive the heads that count words learn too: what a mail is about stands in few of
        them, and which wordings those are shows because all motives share the rest. Raises ValueError when there are no mails.
        """
        if not mails:
            raise ValueError("no mails to learn motives from; add some to triage/data/<language>/*.jsonl")
        motives = {mail.motives[0] for mail in mails}
        examples = [
            Example(whole_mail(mail.subject, mail.body), mail.motives[0], mail.language, mail.author) for mail in mails
        ]
        pieces = [
            Example(sentence, mail.motives[0], mail.language, mail.author)
            for mail in mails
            if len(mail.motives) == 1
            for sentence in _sentences(mail.subject, mail.body)
        ]
        examples += [
            Example(without_entities(turn.text), turn.label, turn.language, turn.author)
            for turn in turns
            if turn.label in motives
        ]
        calibration = [
            Example(whole_mail(mail.subject, mail.body), mail.motives[0], mail.language, mail.author) for mail in frozen
        ]
        reader = cls(HeadEnsemble.fit(BySentence(encoder), examples, calibration, progress, pieces))
        progress("thresholds")
        known = [mail for mail in frozen if set(mail.motives) <= set(reader.labels)]
        if len(known) >= 50:
            reader._fit_presence(known)
        return reader

    def read(self, mails: Sequence[tuple[str, str]]) -> list[Motives]:
        """The motives of mails (subject, body without quoted history)."""
        if not mails:
            return []
        opinions, places = self._opinions(mails)
        found = []
        for row, place in zip(self._present(opinions), places, strict=True):
            order = np.argsort(-row, kind="stable")
            ranking = tuple((self.labels[column], float(row[column])) for column in order)
            found.append(Motives(ranking, self._predicted(row, place, self.further_threshold)))
        return found

    def save(self, folder: Path) -> None:
        self._ensemble.save(folder)
        description = {"method": METHOD, "presence": vars(self.presence), "further_threshold": self.further_threshold}
        (folder / "motives.json").write_text(json.dumps(description, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, encoder: Encoder) -> Self:
        """Raises ValueError when it was trained by another method or with another encoder."""
        description = json.loads((folder / "motives.json").read_text(encoding="utf-8"))
        require_method(description, METHOD, folder)
        return cls(
            HeadEnsemble.load(folder, BySentence(encoder)),
            Presence(**description["presence"]),
            description["further_threshold"],
        )

    def _opinions(self, mails: Sequence[tuple[str, str]]) -> tuple[Probabilities, npt.NDArray[np.intp]]:
        """Log-odds of each motive, (2, mails, motives): by the whole mail, by its strongest sentence; and which that is."""
        parts = [(whole_mail(subject, body), *_sentences(subject, body)) for subject, body in mails]
        flat = self._ensemble.predict([part for texts in parts for part in texts])[:, :-1]
        starts = np.cumsum([0, *(len(texts) for texts in parts)])
        wholes = [flat[start] for start in starts[:-1]]
        sentences = [flat[start + 1 : end] if end > start + 1 else flat[start:end] for start, end in pairwise(starts)]
        opinions = np.array([wholes, [block.max(axis=0) for block in sentences]])
        clipped = np.clip(opinions, 1e-5, 1 - 1e-5)
        places = np.array([block.argmax(axis=0) for block in sentences])
        return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64), places

    def _present(self, opinions: Probabilities) -> Probabilities:
        presence = self.presence
        odds = presence.bias + presence.whole * opinions[0] + presence.sentence * opinions[1]
        return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)

    def _predicted(self, row: Probabilities, place: npt.NDArray[np.intp], threshold: float) -> tuple[str, ...]:
        """The likeliest motive and those above the threshold, in the order of their strongest sentences: people write
        what matters most first."""
        likeliest = int(row.argmax())
        if self.labels[likeliest] == OTHER:
            return (OTHER,)
        given = [
            column
            for column, label in enumerate(self.labels)
            if column == likeliest or (row[column] >= threshold and label != OTHER)
        ]
        return tuple(self.labels[column] for column in sorted(given, key=lambda column: (place[column], -row[column])))

    def _fit_presence(self, frozen: Sequence[MailExample]) -> None:
        opinions, places = self._opinions([(mail.subject, mail.body) for mail in frozen])
        truth = np.array([[label in mail.motives for label in self.labels] for mail in frozen])
        features = opinions.reshape(2, -1).T
        model = LogisticRegression(C=100.0, tol=1e-6, max_iter=1000).fit(features, truth.ravel())
        assert model.n_iter_.min() > 0, "logistic regression did not move; lower its tolerance"
        whole, sentence = (max(0.0, float(weight)) for weight in model.coef_[0])
        self.presence = Presence(float(model.intercept_[0]), whole, sentence)
        self.further_threshold = self._best_threshold(self._present(opinions), places, frozen)

    def _best_threshold(
        self, probabilities: Probabilities, places: npt.NDArray[np.intp], frozen: Sequence[MailExample]
    ) -> float:
        """The threshold for further motives with the best F1 over all (mail, motive) pairs, between 0.15 and 0.7."""

        def f1(threshold: float) -> float:
            predicted = [
                set(self._predicted(row, place, threshold)) for row, place in zip(probabilities, places, strict=True)
            ]
            hits = sum(len(found & set(mail.motives)) for found, mail in zip(predicted, frozen, strict=True))
            return 2 * hits / (sum(map(len, predicted)) + sum(len(mail.motives) for mail in frozen))

        return float(max(np.arange(0.15, 0.71, 0.01), key=f1))


def whole_mail(subject: str, body: str) -> str:
    """A mail as one text, as heads read it: `BySentence` gives its vector."""
    return without_entities(f"{subject}\n{body}".strip())


def _sentences(subject: str, body: str) -> tuple[str, ...]:
    first = (subject,) if len(subject) >= SHORTEST_SUBJECT else ()
    return tuple(without_entities(sentence) for sentence in (*first, *split_sentences(body)))
