"""Does the writer want a human? One detector for chat and mail.

A message is read sentence by sentence; the strongest sentence decides. A sentence is judged by the head ensemble
(meaning, characters, words) and by a lexicon a language (`data/lexicon/human/<language>.yml`): patterns that ask for
somebody, and patterns that only mention or refuse somebody. Who has read the whole message has a say too: in chat the
intents, for mails a second ensemble, learnt from whole mails, since a mail does not say which of its sentences asks.
How much each counts is fitted on held-out text. Missing a request traps a customer, a false alarm costs an agent a minute:
the threshold leans to recall.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import re2
import yaml
from sklearn.linear_model import LogisticRegression

from models.artifacts import require_method
from models.corpus import TALK_TO_HUMAN, Example, MailExample
from models.encoder import BySentence, Encoder
from models.ensemble import HeadEnsemble
from models.entities import without_entities
from models.motives import whole_mail
from models.sentences import split_sentences
from models.tfidf import fold

LEXICON = Path(__file__).parent / "data" / "lexicon" / "human"
METHOD = "human-5"
MISSED = 0.01  # share of the requests in held-out text that the thresholds may miss
ENOUGH = 20  # texts of each kind, below which nothing is learnt of them and the default evidence stays
WHOLE_MAILS = "whole-mails"
FEWEST_WORDS = 3
SURE_ENOUGH = 0.2  # a first look below this has not found the sentence that asks
REMEMBERED_SENTENCES = 256  # of a message, which is asked several times
CONTEXT_CHARACTERS = 600  # a chat message longer than this is only read sentence by sentence

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Weights of the combination: log-odds = bias + head * its logit + whole * its logit + asks + refuses (each 0 or 1).

    `whole` is the opinion on the whole message: in chat the intents' probability of `talk_to_human`, of a mail that of the
    heads that learnt from whole mails.
    """

    bias: float = 0.0
    head: float = 1.0
    whole: float = 0.0
    asks: float = 1.0
    refuses: float = -1.0


@dataclass(frozen=True)
class HumanOpinion:
    """Why a message counts as a request for a human, or does not.

    `sentence` is the strongest one (empty when nothing is said); `head_probability` what the heads give it; `asks` and
    `refuses` whether the lexicon knows it as asking for somebody, as only mentioning or refusing somebody. `said_by`:
    whose word was enough: the lexicon's, the heads', either's, or nobody's.
    """

    wanted: bool
    probability: float
    threshold: float
    said_by: Literal["lexicon", "heads", "both", "nobody"]
    sentence: str
    head_probability: float
    asks: bool
    refuses: bool


class HumanRequestDetector:
    """Build with `fit` or `load`; safe to share between threads. Attributes: `chat_threshold`, `mail_threshold`."""

    def __init__(
        self,
        ensemble: HeadEnsemble,
        whole_mails: HeadEnsemble | None = None,
        chat: Evidence = Evidence(),
        mail: Evidence = Evidence(),
        chat_threshold: float = 0.4,
        mail_threshold: float = 0.4,
    ) -> None:
        self._ensemble = ensemble
        self._whole_mails = whole_mails
        self.chat = chat
        self.mail = mail
        self.chat_threshold = chat_threshold
        self.mail_threshold = mail_threshold

    @classmethod
    def fit(
        cls,
        encoder: Encoder,
        turns: Sequence[Example],
        mails: Sequence[MailExample],
        intents: HeadEnsemble,
        frozen_turns: Sequence[Example] = (),
        frozen_mails: Sequence[MailExample] = (),
        progress: Callable[[str], None] = lambda step: None,
    ) -> HumanRequestDetector:
        """Train on chat turns (`talk_to_human` against all others) and mails; fit evidence and thresholds on frozen text.

        A mail says only that one of its sentences asks for somebody: the one that a first look finds likeliest is taken.
        `intents`: the chat intents, whose opinion is weighed in.
        """
        examples = [_asks(turn) for turn in turns]
        examples += _mail_sentences(encoder, examples, mails)
        detector = cls(
            HeadEnsemble.fit(encoder, examples, [_asks(turn) for turn in frozen_turns], progress),
            _fit_whole_mails(encoder, mails, frozen_mails, progress),
        )
        progress("thresholds")
        asked = np.array([turn.label == TALK_TO_HUMAN for turn in frozen_turns], dtype=bool)
        opinions = talk_probabilities(intents, [turn.text for turn in frozen_turns])
        asked_by_mail = np.array([mail.wants_human for mail in frozen_mails], dtype=bool)
        if _enough(asked):
            detector.chat = detector._fit_evidence([_chat_units(turn.text) for turn in frozen_turns], opinions, asked)
        if _enough(asked_by_mail):
            units = [_mail_units(mail.subject, mail.body) for mail in frozen_mails]
            whole = detector._whole_probabilities([(mail.subject, mail.body) for mail in frozen_mails])
            detector.mail = detector._fit_evidence(units, whole, asked_by_mail)
        in_chat = detector.chat_probabilities([turn.text for turn in frozen_turns], opinions)
        in_mail = detector.mail_probabilities([(mail.subject, mail.body) for mail in frozen_mails])
        detector.chat_threshold = threshold_for_recall(in_chat, asked)
        detector.mail_threshold = threshold_for_recall(in_mail, asked_by_mail)
        return detector

    def chat_probabilities(self, texts: Sequence[str], intent_probabilities: npt.ArrayLike) -> Scores:
        """Probability, float64 (n,), that each chat message asks for a human.

        intent_probabilities: (n,) that of `talk_to_human` by the chat intents.
        """
        return self._probabilities(self.chat, [_chat_units(text) for text in texts], intent_probabilities)

    def mail_probabilities(self, mails: Sequence[tuple[str, str]]) -> Scores:
        """Probability, float64 (n,), that each mail (subject, body without quoted history) asks for a human."""
        units = [_mail_units(subject, body) for subject, body in mails]
        return self._probabilities(self.mail, units, self._whole_probabilities(mails))

    def chat_opinion(self, text: str, intent_probability: float) -> HumanOpinion:
        """Why `chat_probabilities` says what it says of one message."""
        return self._opinion(self.chat, _chat_units(text), intent_probability, self.chat_threshold)

    def mail_opinion(self, subject: str, body: str) -> HumanOpinion:
        """Why `mail_probabilities` says what it says of one mail."""
        whole = float(self._whole_probabilities([(subject, body)])[0])
        return self._opinion(self.mail, _mail_units(subject, body), whole, self.mail_threshold)

    def _opinion(
        self, evidence: Evidence, units: Sequence[str], whole_probability: float, threshold: float
    ) -> HumanOpinion:
        if not units:
            return HumanOpinion(False, 0.0, threshold, "nobody", "", 0.0, asks=False, refuses=False)
        features = self._strongest(evidence, [(unit,) for unit in units])
        strongest = int((features @ _weights(evidence)).argmax())
        logit, asks, refuses = features[strongest]
        probability = float(self._probabilities(evidence, [units], [whole_probability])[0])
        unaided = replace(evidence, asks=0.0, refuses=0.0)
        by_heads = float(self._probabilities(unaided, [units], [whole_probability])[0]) >= threshold
        wanted = probability >= threshold
        said_by: Literal["lexicon", "heads", "both", "nobody"] = "nobody"
        if wanted:
            said_by = "lexicon" if not by_heads else "both" if asks else "heads"
        return HumanOpinion(
            wanted=wanted,
            probability=probability,
            threshold=threshold,
            said_by=said_by,
            sentence=units[strongest],
            head_probability=float(1 / (1 + np.exp(-logit))),
            asks=bool(asks),
            refuses=bool(refuses),
        )

    def _whole_probabilities(self, mails: Sequence[tuple[str, str]]) -> Scores:
        if self._whole_mails is None:
            return np.full(len(mails), 0.5)
        return np.asarray(self._whole_mails.predict([whole_mail(*mail) for mail in mails])[:, 0], dtype=np.float64)

    def save(self, folder: Path) -> None:
        self._ensemble.save(folder)
        if self._whole_mails is not None:
            self._whole_mails.save(folder / WHOLE_MAILS)
        description = {
            "method": METHOD,
            "chat": vars(self.chat),
            "mail": vars(self.mail),
            "chat_threshold": self.chat_threshold,
            "mail_threshold": self.mail_threshold,
        }
        (folder / "human.json").write_text(json.dumps(description, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, encoder: Encoder) -> Self:
        """Raises ValueError when it was trained by another method or with another encoder."""
        description = json.loads((folder / "human.json").read_text(encoding="utf-8"))
        require_method(description, METHOD, folder)
        whole = folder / WHOLE_MAILS
        return cls(
            HeadEnsemble.load(folder, encoder),
            HeadEnsemble.load(whole, BySentence(encoder)) if whole.exists() else None,
            Evidence(**description["chat"]),
            Evidence(**description["mail"]),
            description["chat_threshold"],
            description["mail_threshold"],
        )

    def _probabilities(
        self, evidence: Evidence, units: Sequence[Sequence[str]], whole_probabilities: npt.ArrayLike
    ) -> Scores:
        whole = _logit(np.asarray(whole_probabilities, dtype=np.float64))
        odds = evidence.bias + self._strongest(evidence, units) @ _weights(evidence) + evidence.whole * whole
        said = np.array([bool(parts) for parts in units], dtype=bool)
        return np.where(said, 1 / (1 + np.exp(-odds)), 0.0)

    def _strongest(self, evidence: Evidence, units: Sequence[Sequence[str]]) -> Scores:
        """(n, 3): logit of the heads, asks, refuses, of the sentence that together they make the likeliest request."""
        flat = [unit for parts in units for unit in parts]
        found = np.zeros((len(units), 3))
        if not flat:
            return found
        features = np.column_stack(
            [_logit(self._ensemble.predict(flat)[:, 0]), [lexicon_evidence(unit) for unit in flat]]
        )
        requests = features @ _weights(evidence)
        start = 0
        for row, parts in enumerate(units):
            if parts:
                found[row] = features[start + int(requests[start : start + len(parts)].argmax())]
            start += len(parts)
        return found

    def _fit_evidence(self, units: Sequence[Sequence[str]], opinions: Scores, truth: npt.NDArray[np.bool_]) -> Evidence:
        strongest = self._strongest(Evidence(), units)
        features = np.column_stack([strongest[:, 0], _logit(opinions), strongest[:, 1:]])
        model = LogisticRegression(C=1.0, tol=1e-6, max_iter=1000).fit(features, truth)
        assert model.n_iter_.min() > 0, "logistic regression did not move; lower its tolerance"
        head, weight, asks, refuses = (float(value) for value in model.coef_[0])
        # A pattern that asks never speaks against a request, nor one that refuses for it, whatever few texts say.
        return Evidence(float(model.intercept_[0]), max(head, 0.2), max(weight, 0.0), max(asks, 0.0), min(refuses, 0.0))


def talk_probabilities(intents: HeadEnsemble, texts: Sequence[str]) -> Scores:
    """The probability of `talk_to_human` by the chat intents, float64 (n,)."""
    found = intents.predict([without_entities(text) for text in texts])
    return np.asarray(found[:, intents.labels.index(TALK_TO_HUMAN)], dtype=np.float64)


def _chat_units(text: str) -> tuple[str, ...]:
    """A chat message whole, and sentence by sentence when it has several; order numbers ask for nobody."""
    text = without_entities(text)
    sentences = split_sentences(text)
    if len(text) > CONTEXT_CHARACTERS and sentences:
        return sentences
    return (text, *sentences) if len(sentences) > 1 else (text,)


def _mail_units(subject: str, body: str) -> tuple[str, ...]:
    """The sentences of a mail; salutations and signatures are left out, they are all that is shorter and asks for nobody."""
    sentences = (*split_sentences(subject), *split_sentences(body))
    return tuple(
        without_entities(sentence)
        for sentence in sentences
        if len(sentence.split()) >= FEWEST_WORDS or lexicon_evidence(sentence)[0]
    )


def _asks(turn: Example) -> Example:
    return Example(
        without_entities(turn.text), TALK_TO_HUMAN if turn.label == TALK_TO_HUMAN else None, turn.language, turn.author
    )


def _weights(evidence: Evidence) -> Scores:
    """How much each feature of a sentence counts, (3,)."""
    return np.array([evidence.head, evidence.asks, evidence.refuses])


def _logit(probability: Scores) -> Scores:
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64)


def _enough(truth: npt.NDArray[np.bool_]) -> bool:
    return bool(min(truth.sum(), (~truth).sum()) >= ENOUGH)


@lru_cache(REMEMBERED_SENTENCES)
def lexicon_evidence(sentence: str) -> tuple[float, float]:
    """(asks, refuses), each 0 or 1: does a pattern of any language match? People mix languages, so all are tried."""
    plain = fold(sentence)
    asks, refuses = _lexicon()
    return float(asks.search(plain) is not None), float(refuses.search(plain) is not None)


@cache
def _lexicon() -> tuple[re2._Regexp, re2._Regexp]:
    """All patterns of a side as one: RE2 reads a sentence once, however many they are."""
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(LEXICON.glob("*.yml"))]
    asks, refuses = (
        re2.compile("|".join(f"(?:{pattern})" for file in files for pattern in file[side]))
        for side in ("asks", "refuses")
    )
    return asks, refuses


def _mail_sentences(encoder: Encoder, turns: Sequence[Example], mails: Sequence[MailExample]) -> list[Example]:
    """Sentences of mails: all of the mails that ask for nobody, and the likeliest one of each mail that does."""
    truth = np.array([turn.label is not None for turn in turns])
    first_look = LogisticRegression(C=10.0, tol=1e-5, max_iter=1000)
    first_look.fit(encoder.encode([turn.text for turn in turns]), truth)
    assert first_look.n_iter_.min() > 0, "logistic regression did not move; lower its tolerance"
    found: list[Example] = []
    for mail in mails:
        sentences = _mail_units(mail.subject, mail.body)
        if mail.wants_human and sentences:
            likely = first_look.predict_proba(encoder.encode(sentences))[:, 1]
            likely = likely + [0.3 * (asks - refuses) for asks, refuses in map(lexicon_evidence, sentences)]
            if likely.max() >= SURE_ENOUGH:
                found.append(Example(sentences[int(likely.argmax())], TALK_TO_HUMAN, mail.language, mail.author))
        elif not mail.wants_human:
            found += [Example(sentence, None, mail.language, mail.author) for sentence in sentences]
    return found


def _fit_whole_mails(
    encoder: Encoder, mails: Sequence[MailExample], frozen: Sequence[MailExample], progress: Callable[[str], None]
) -> HeadEnsemble | None:
    """Heads on whole mails, or None where too few of a kind have been written to learn from."""
    if not _enough(np.array([mail.wants_human for mail in mails], dtype=bool)):
        return None
    learnt, held_out = (
        [
            Example(
                whole_mail(mail.subject, mail.body),
                TALK_TO_HUMAN if mail.wants_human else None,
                mail.language,
                mail.author,
            )
            for mail in some
        ]
        for some in (mails, frozen)
    )
    return HeadEnsemble.fit(BySentence(encoder), learnt, held_out, progress)


def threshold_for_recall(scores: Scores, truth: npt.NDArray[np.bool_], missed: float = MISSED) -> float:
    """The highest threshold that misses at most the share `missed` of the held-out requests; 0.4 when there are too few.

    Kept between 0.1 and 0.6: few held-out texts must not argue a product into never or always handing over.
    """
    if truth.sum() < 10:
        return 0.4
    requests = np.sort(scores[truth])
    lowest = requests[int(missed * len(requests))]
    below = scores[scores < lowest]
    return float(np.clip((lowest + (below.max() if len(below) else 0.0)) / 2, 0.1, 0.6))
