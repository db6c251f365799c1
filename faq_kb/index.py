"""Every way to ask every question, as vectors in FAISS: a saved wording answers at once, before anything is trained."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

# More threads than cores that are free make a search of one question slower, not faster.
faiss.omp_set_num_threads(1)

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Masses = npt.NDArray[np.float64]

FLAT_LIMIT = 50_000  # an exact search takes 11 ms there; a graph finds the same in half a millisecond
CANDIDATES = 200  # wordings that a question is compared with in detail
SAMPLE = 1_500  # wordings that the scale is fitted on

_SHARPNESS = (8.0, 12.0, 16.0, 24.0, 32.0, 48.0)


@dataclass(frozen=True)
class Wording:
    """One indexed text: the entry's slug, the language it is written in. `learnt`: the trained heads know this text."""

    text: str
    slug: str
    language: str
    learnt: bool = False


class Embeddings:
    """Vectors of texts in one model's space, each text encoded once, by its hash. Safe to share between threads.

    embed: texts -> float32 (n, dim), unit rows.
    """

    def __init__(self, embed: Callable[[Sequence[str]], Vectors]) -> None:
        self._embed = embed
        self._known: dict[bytes, Vectors] = {}
        self._lock = threading.Lock()

    def of(self, texts: Sequence[str]) -> Vectors:
        """float32 (len(texts), dim). What is not among `texts` is forgotten: the cache is as large as the content."""
        keys = [_key(text) for text in texts]
        with self._lock:
            known = self._known
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            vectors = self._embed(list(new.values()))
            known = {**known, **dict(zip(new, vectors, strict=True))}
        with self._lock:
            self._known = {key: known[key] for key in keys}
        return np.stack([known[key] for key in keys]) if keys else np.zeros((0, 1), np.float32)

    def question(self, text: str) -> Vectors:
        """float32 (1, dim) of a shopper's words, which are not kept here."""
        return self._embed([text])


@dataclass(frozen=True)
class Scale:
    """How similarities of one model become probabilities.

    `sharpness` multiplies the cosine; `background` is the cosine at which a wording counts as much as "none of them".
    """

    sharpness: float
    background: float


LONELY = Scale(
    sharpness=48.0, background=0.95
)  # one entry alone has nothing to be compared with: near its own words only


class WordingIndex:
    """Immutable nearest-neighbour search over the wordings; safe to share between threads.

    vectors: float32 (n, dim), unit rows, one a wording.
    """

    def __init__(self, vectors: Vectors, wordings: Sequence[Wording]) -> None:
        self.wordings = tuple(wordings)
        self.slugs = tuple(sorted({wording.slug for wording in wordings}))
        code = {slug: number for number, slug in enumerate(self.slugs)}
        self.codes: Rows = np.array([code[wording.slug] for wording in wordings], dtype=np.int64)
        self.learnt = np.array([wording.learnt for wording in wordings], dtype=bool)
        # An entry with many wordings has more chances of a near one; half of that advantage is deserved.
        self._prior = np.sqrt(np.bincount(self.codes, minlength=len(self.slugs)))
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._index = _build(self._vectors)

    def nearest(self, questions: Vectors, k: int = CANDIDATES) -> tuple[Vectors, Rows]:
        """Cosines, falling, and wording numbers: float32 and int64 (len(questions), min(k, wordings)).

        A graph may find fewer than k: the numbers of the others are -1.
        """
        k = min(k, len(self.wordings))
        if k == 0:
            return np.zeros((len(questions), 0), np.float32), np.zeros((len(questions), 0), np.int64)
        cosines, rows = self._index.search(np.ascontiguousarray(questions, dtype=np.float32), k)
        return cosines, rows

    def masses(self, cosines: Vectors, rows: Rows, scale: Scale) -> tuple[Masses, Masses]:
        """One question's soft maximum over each entry's wordings, as probabilities with "none of them" beside them.

        cosines, rows: (k,) from `nearest`. Returns the share of each slug that stands on learnt wordings and the share
        that stands on the others: float64 (slugs,) twice; together they add up to less than 1, the rest is "none".
        """
        cosines, rows = cosines[rows >= 0], rows[rows >= 0]
        # Above the largest exponent nothing overflows.
        top = max(float(cosines[0]), scale.background) if len(cosines) else scale.background
        weight = np.exp(scale.sharpness * (cosines.astype(np.float64) - top)) / self._prior[self.codes[rows]]
        learnt = self.learnt[rows]
        count = len(self.slugs)
        known = np.bincount(self.codes[rows[learnt]], weight[learnt], minlength=count)
        fresh = np.bincount(self.codes[rows[~learnt]], weight[~learnt], minlength=count)
        total = known.sum() + fresh.sum() + np.exp(scale.sharpness * (scale.background - top))
        return known / total, fresh / total

    def fit_scale(self) -> Scale:
        """The scale of this model's cosines, found on the content itself, so that it fits any encoder.

        Every wording (a sample of them) is asked twice: without itself, when its own entry should answer, and without
        its whole entry, when nothing should. The most likely scale for both is taken (maximum likelihood).
        """
        if len(self.slugs) < 2:
            return LONELY
        asked = np.linspace(0, len(self.wordings) - 1, min(SAMPLE, len(self.wordings))).astype(np.int64)
        cosines, rows = self.nearest(self._vectors[asked], CANDIDATES + 1)
        other = rows != asked[:, None]
        own = self.codes[np.maximum(rows, 0)] == self.codes[asked][:, None]
        other &= rows >= 0
        weight = 1.0 / self._prior[self.codes[np.maximum(rows, 0)]]
        best = (np.inf, Scale(_SHARPNESS[0], 0.5))
        for sharpness in _SHARPNESS:
            mass = np.exp(sharpness * (cosines.astype(np.float64) - 1.0)) * weight
            right, wrong = (mass * (own & other)).sum(axis=1), (mass * (~own & other)).sum(axis=1)

            def surprise(
                background: float, sharpness: float = sharpness, right: Masses = right, wrong: Masses = wrong
            ) -> float:
                none = np.exp(sharpness * (background - 1.0))
                answered = np.log(np.maximum(right, 1e-12) / (right + wrong + none))
                silent = np.log(none / (wrong + none))
                return -float(answered.mean() + silent.mean())

            found = minimize_scalar(surprise, bounds=(0.0, 1.0), method="bounded")
            best = min(best, (float(found.fun), Scale(sharpness, float(found.x))), key=lambda pair: pair[0])
        return best[1]


def _build(vectors: Vectors) -> faiss.Index:
    count, dim = vectors.shape
    if count <= FLAT_LIMIT:
        flat = faiss.IndexFlatIP(dim)
        flat.add(vectors)
        return flat
    graph = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efSearch = CANDIDATES
    graph.add(vectors)
    return graph


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
