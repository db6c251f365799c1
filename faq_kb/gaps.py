"""What shoppers asked and no entry answered, so that an editor sees which entry to write next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.cluster import AgglomerativeClustering

from faq_kb.content import fold
from faq_kb.index import Vectors
from faq_kb.search import FaqResult, TextEncoder

MOST = 4_000  # different questions clustered: the distances between them take 64 MB; the most frequent ones are kept
NEAR = 0.55  # questions whose mean cosine is at least this belong together
EXAMPLES = 5


class Search(Protocol):
    """`FaqSearch` or `FaqLive`."""

    def search(self, text: str, language: str = "fr", k: int = 3) -> FaqResult: ...


@dataclass(frozen=True)
class Gap:
    """Unanswered questions of one meaning.

    `size`: how often it was asked, in whatever words; `examples`: the most typical words first, at most five; `nearest`:
    slug of the existing entry that came closest, with its `nearest_score`, None when there is no entry at all.
    """

    size: int
    examples: tuple[str, ...]
    nearest: str | None
    nearest_score: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "examples": list(self.examples),
            "nearest": self.nearest,
            "nearest_score": round(self.nearest_score, 4),
        }


def find_gaps(
    questions: Sequence[tuple[str, int]] | Mapping[str, int],
    encoder: TextEncoder,
    search: Search,
    *,
    language: str = "fr",
    near: float = NEAR,
) -> tuple[Gap, ...]:
    """Cluster unanswered questions, the most asked gap first.

    questions: texts and how often each was asked; texts that differ only in case, accents or punctuation count together.
    near: the mean cosine, 0 to 1, from which questions belong together (average linkage).
    """
    asked, spelled = _count(questions.items() if isinstance(questions, Mapping) else questions)
    texts = [spelled[key] for key, _ in asked.most_common(MOST)]
    counts = np.array([count for _, count in asked.most_common(MOST)], dtype=np.int64)
    if not texts:
        return ()
    vectors = np.vstack([encoder.encode(texts[start : start + 256]) for start in range(0, len(texts), 256)])
    gaps = []
    for members in _clusters(vectors, near):
        # The most typical question is the nearest to what all of them, as often as they were asked, have in common.
        centre = (vectors[members] * counts[members, None]).sum(axis=0)
        typical = members[np.argsort(-(vectors[members] @ centre), kind="stable")]
        found = search.search(texts[typical[0]], language, 1)
        gaps.append(
            Gap(int(counts[members].sum()), tuple(texts[row] for row in typical[:EXAMPLES]), found.slug, found.score)
        )
    return tuple(sorted(gaps, key=lambda gap: (-gap.size, gap.examples)))


def _count(questions: Sequence[tuple[str, int]] | Any) -> tuple[Counter[str], dict[str, str]]:
    """How often each folded question was asked, and how it was first spelled."""
    asked: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    for text, count in questions:
        if any(letter.isalnum() for letter in text):
            asked[fold(text)] += count
            spelled.setdefault(fold(text), text.strip())
    return asked, spelled


def _clusters(vectors: Vectors, near: float) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    if len(vectors) == 1:
        return [np.zeros(1, dtype=np.int64)]
    clustering = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=1.0 - near
    )
    labels = clustering.fit_predict(vectors)
    return [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
