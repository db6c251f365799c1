"""A shopper's question in, the entry that answers it out, or the honest word that none does.

Two opinions are put together. The trained heads know the entries they were trained on, with calibrated probabilities and
a class for "none of them". The index knows every wording of the content as it stands now, so it speaks for what the heads
have not learnt yet: a new entry, a new wording. Each wording counts once: the share of a question's neighbourhood that
stands on unlearnt wordings is the index's to give, the rest is the heads'. Without heads everything is the index's.

Which entry is likeliest is asked first; whether it may be given is asked of the opinion that brought it up, at that
opinion's own threshold.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from faq_kb.content import Content, fold
from faq_kb.index import Embeddings, Masses, Scale, Vectors, Wording, WordingIndex

FALLBACK_LANGUAGES = ("fr", "en")
CACHED_QUESTIONS = 2048


class TextEncoder(Protocol):
    """Texts to float32 (n, dim) unit rows: `models.Encoder`."""

    def encode(self, texts: Sequence[str]) -> Vectors: ...


class Heads(Protocol):
    """The trained heads: `models.HeadEnsemble`. `predict` is (n, len(labels) + 1), the last column "none of them"."""

    labels: tuple[str, ...]

    def predict(self, texts: Sequence[str]) -> npt.NDArray[np.float64]: ...

    def embed(self, texts: Sequence[str]) -> Vectors: ...


@dataclass(frozen=True)
class Thresholds:
    """The probability from which an answer is given. `heads`: from the artefact, calibrated for a stated error rate.

    `index`: where only the index speaks. Its probabilities are fitted on the content alone and are shy; 0.75 gave no more
    than 1 % wrong answers among those given on questions by other authors.
    """

    heads: float = 0.95
    index: float = 0.75


@dataclass(frozen=True)
class Hit:
    """One entry and its probability; `wording` is the indexed text nearest to the question (any language)."""

    slug: str
    score: float
    title: str
    answer_markdown: str
    language: str
    wording: str


@dataclass(frozen=True)
class FaqResult:
    """`slug` and `score`: the likeliest entry, given as the answer only if `answered`. `top`: falling scores, best first."""

    answered: bool
    slug: str | None
    score: float
    top: tuple[Hit, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields, and those of each hit."""
        return {
            "answered": self.answered,
            "slug": self.slug,
            "score": round(self.score, 4),
            "top": [
                {
                    "slug": hit.slug,
                    "score": round(hit.score, 4),
                    "title": hit.title,
                    "answer_markdown": hit.answer_markdown,
                    "language": hit.language,
                    "wording": hit.wording,
                }
                for hit in self.top
            ],
        }


NOTHING = FaqResult(answered=False, slug=None, score=0.0, top=())


@dataclass(frozen=True)
class Space:
    """One model's space: where texts become vectors, and how cosines become probabilities there.

    `heads` None: the plain encoder. `learnt`: folded texts that the heads were trained on; None means every text of the
    entries that they have labels for. `unanswerable`: float32 (n, dim), what no entry answers, for the index alone: the heads
    have a class for it.
    """

    embeddings: Embeddings
    heads: Heads | None
    learnt: frozenset[str] | None
    unanswerable: Vectors
    scale: Scale | None = None

    @classmethod
    def of(
        cls,
        encoder: TextEncoder,
        heads: Heads | None,
        learnt: Iterable[str] | None = None,
        unanswerable: Sequence[str] = (),
    ) -> Space:
        """learnt: the texts that the heads were trained on; unanswerable: questions that no entry answers."""
        embeddings = Embeddings(encoder.encode if heads is None else heads.embed)
        needed = unanswerable if heads is None else ()
        against = encoder.encode(needed) if needed else np.zeros((0, 1), np.float32)
        return cls(embeddings, heads, None if learnt is None else frozenset(map(fold, learnt)), against)

    def is_unanswerable(self, question: Vectors, cosine: float) -> bool:
        """Whether a question, float32 (1, dim), is as near to one that no entry answers as to its nearest wording."""
        return len(self.unanswerable) > 0 and float((self.unanswerable @ question[0]).max()) >= cosine

    def knows(self, slug: str, text: str) -> bool:
        if self.heads is None or slug not in self.heads.labels:
            return False
        return self.learnt is None or fold(text) in self.learnt


class FaqSearch:
    """Immutable search over one content with one set of heads; safe to share between threads."""

    def __init__(
        self,
        encoder: TextEncoder,
        content: Content,
        ensemble: Heads | None = None,
        thresholds: Thresholds | None = None,
        *,
        learnt: Iterable[str] | None = None,
        unanswerable: Sequence[str] = (),
    ) -> None:
        space = Space.of(encoder, ensemble, learnt, unanswerable)
        self._prepare(space, content, thresholds or Thresholds())

    @classmethod
    def within(cls, space: Space, content: Content, thresholds: Thresholds) -> FaqSearch:
        """The search over another content in a space that is there already: only texts it has not seen are encoded."""
        search = cls.__new__(cls)
        search._prepare(space, content, thresholds)
        return search

    def _prepare(self, space: Space, content: Content, thresholds: Thresholds) -> None:
        wordings = [
            Wording(text, entry.slug, entry.language, space.knows(entry.slug, text))
            for entry in content.entries.values()
            for text in entry.texts
        ]
        self.content = content
        self.thresholds = thresholds
        self._index = WordingIndex(space.embeddings.of([wording.text for wording in wordings]), wordings)
        # The scale belongs to the encoder far more than to the content: fitted once, kept through every edit.
        self._scale = space.scale or self._index.fit_scale()
        self.space = replace(space, scale=self._scale)
        self._columns = _columns(space.heads.labels if space.heads else (), self._index.slugs)
        self._exact = _unambiguous(wordings)
        self._cache: OrderedDict[tuple[str, str, int], FaqResult] = OrderedDict()
        self._cache_lock = threading.Lock()

    def search(self, text: str, language: str = "fr", k: int = 3) -> FaqResult:
        """The entries likeliest to answer `text`, at most `k`, each in `language`, else in French, else in English.

        Answered means that the likeliest one reached its threshold, or that the shopper typed one of its wordings.
        """
        key = (text, language, k)
        with self._cache_lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        result = self._search(text, language, k)
        with self._cache_lock:
            self._cache[key] = result
            if len(self._cache) > CACHED_QUESTIONS:
                self._cache.popitem(last=False)
        return result

    def _search(self, text: str, language: str, k: int) -> FaqResult:
        if not any(letter.isalnum() for letter in text) or not self._index.slugs:
            return NOTHING
        question = self.space.embeddings.question(text)
        cosines, rows = self._index.nearest(question)
        scores, limit = self._weigh(text, *self._index.masses(cosines[0], rows[0], self._scale))
        typed = self._exact.get(fold(text))
        if typed is not None:
            scores = np.where(np.arange(len(scores)) == typed, 1.0, 0.0)
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        answered = typed is not None or bool(
            scores[best] >= limit and not self.space.is_unanswerable(question, float(cosines[0, 0]))
        )
        nearest = _nearest_wordings(self._index, rows[0])
        top = tuple(self._hit(int(number), float(scores[number]), language, nearest) for number in order[: max(k, 1)])
        return FaqResult(answered, self._index.slugs[best], float(scores[best]), top)

    def _weigh(self, text: str, learnt: Masses, fresh: Masses) -> tuple[Masses, float]:
        """Each entry's score, and the threshold of the opinion that the best one stands on."""
        heads = self.space.heads
        if heads is None:
            return fresh, self.thresholds.index
        near = float(learnt.sum() + fresh.sum())  # the rest is the index's "none of them"
        by_index = fresh / near
        by_heads = (1.0 - by_index.sum()) * np.append(heads.predict([text])[0, :-1], 0.0)[self._columns]
        scores = by_heads + by_index
        best = int(scores.argmax())
        if by_heads[best] >= by_index[best]:
            return scores, self.thresholds.heads
        return scores * near, self.thresholds.index  # the heads' "none" knows nothing of this entry: the index's counts

    def _hit(self, number: int, score: float, language: str, nearest: Mapping[int, Wording]) -> Hit:
        slug = self._index.slugs[number]
        entry = self.content.entry(slug, (language, *FALLBACK_LANGUAGES))
        assert entry is not None, "every indexed slug stands in the content"
        wording = nearest[number].text if number in nearest else entry.title
        return Hit(slug, score, entry.title, entry.answer_markdown, entry.language, wording)


def _columns(labels: Sequence[str], slugs: Sequence[str]) -> npt.NDArray[np.int64]:
    """For each slug its column among the labels, or the column behind them."""
    column = {label: number for number, label in enumerate(labels)}
    return np.array([column.get(slug, len(labels)) for slug in slugs], dtype=np.int64)


def _unambiguous(wordings: Sequence[Wording]) -> dict[str, int]:
    """Folded text -> number of its slug, where only one entry has that text."""
    slugs = {slug: number for number, slug in enumerate(sorted({wording.slug for wording in wordings}))}
    owners: dict[str, set[int]] = {}
    for wording in wordings:
        owners.setdefault(fold(wording.text), set()).add(slugs[wording.slug])
    return {text: next(iter(owner)) for text, owner in owners.items() if len(owner) == 1}


def _nearest_wordings(index: WordingIndex, rows: npt.NDArray[np.int64]) -> dict[int, Wording]:
    found: dict[int, Wording] = {}
    for row in rows[rows >= 0]:
        found.setdefault(int(index.codes[row]), index.wordings[row])
    return found
