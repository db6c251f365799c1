"""The one mechanism behind FAQ topics, chat intents and mail motives: an average of calibrated heads.

Four heads read a text. Two stand on the sentence encoder's vectors (two more on a second encoder's, if there is one): a
small network over the vectors of its sentences, and the soft maximum of the similarity to every training text after an
adapter that was trained to bring texts of one meaning together. They know meaning and carry over languages. The third is a
linear support vector classifier on character n-grams: it knows names, spellings and abbreviations; the fourth one on words
and pairs of words. Their log-probabilities are added with one weight a head, fitted on text that the heads did not learn
from (temperature scaling, Guo et al. 2017, "On Calibration of Modern Neural Networks", in a logarithmic opinion pool).
Texts that no label stands for are a class of their own, the null class: its probability lets the product stay silent.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import skops.io
import torch
from scipy.optimize import minimize
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Dense, Normalize
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from models.artifacts import StaleArtifactError, require_method
from models.attention import AttentionHead, log_softmax
from models.corpus import Example
from models.encoder import Reading, TextEncoder, Vectors
from models.tfidf import TfidfReader, fit_linear, fold

Probabilities = npt.NDArray[np.float64]
Labels = npt.NDArray[np.str_]

METHOD = "heads-7"  # part of every artefact's data hash: change it whenever the same text would give other heads
NULL = "\uffff"  # the null class sorts behind every label, so its column is the last
FLOOR = 1e-6  # no head may veto a label alone
FEWEST_FOLDS, MOST_FOLDS = 3, 5  # the more of the text a head has read, the nearer it is to the one that is shipped
LEAST_WEIGHT = 0.1  # of a head; the others have .3 to 1
MOST_STEPS = 3000  # of the adapter: of much text, more of them take a minute and bring nothing
MOST_ANCHORS = 200  # texts a class to compare with; more cost time at every message and change little
BLOCK = 512  # rows compared at once, to bound memory
ENOUGH_CALIBRATION = 100  # fewer held-out texts than this say less than cross-validation does


@dataclass(frozen=True)
class Calibration:
    """The texts that set the weights: `probabilities` (n, labels + 1), `labels` (n; None is the null class).

    `source`: "held-out author" or "cross-validation".
    """

    source: str
    probabilities: Probabilities
    labels: tuple[str | None, ...]


class Head(Protocol):
    """One opinion. `log_probabilities` is float64 (n, classes), columns in the order of the sorted class names."""

    def log_probabilities(self, reading: Reading) -> Probabilities: ...

    def save(self, folder: Path) -> None: ...


class SimilarityHead:
    """Soft maximum, over the training texts of each class, of the similarity after the adapter."""

    file = "similarity.npz"
    scale = 30.0

    def __init__(self, weight: Vectors, bias: Vectors, anchors: Vectors, starts: npt.NDArray[np.int64]) -> None:
        self.weight, self.bias = weight, bias
        self._anchors, self._starts = anchors, starts
        counts = np.diff(np.append(starts, len(anchors)))
        # A class with many texts has more chances of a near one; half of that advantage is deserved.
        self._prior = 0.5 * np.log(counts)

    @classmethod
    def fit(cls, reading: Reading, labels: Labels) -> SimilarityHead:
        weight, bias = train_adapter(reading.vectors, labels)
        generator = np.random.default_rng(0)
        rows = [np.flatnonzero(labels == name) for name in np.unique(labels)]
        kept = [
            generator.choice(found, MOST_ANCHORS, replace=False) if len(found) > MOST_ANCHORS else found
            for found in rows
        ]
        starts = np.cumsum([0, *(len(found) for found in kept[:-1])]).astype(np.int64)
        return cls(weight, bias, adapt(reading.vectors[np.concatenate(kept)], weight, bias), starts)

    def log_probabilities(self, reading: Reading) -> Probabilities:
        parts = [reading.vectors[start : start + BLOCK] for start in range(0, len(reading.vectors), BLOCK)]
        return np.vstack([self._block(part) for part in parts]) if parts else np.zeros((0, len(self._starts)))

    def _block(self, vectors: Vectors) -> Probabilities:
        similarity = self.scale * (adapt(vectors, self.weight, self.bias) @ self._anchors.T)
        # Above its own largest value no exponent overflows.
        top = similarity.max(axis=1, keepdims=True)
        mass = np.add.reduceat(np.exp(similarity - top), self._starts, axis=1, dtype=np.float64)
        return log_softmax(np.log(np.maximum(mass, 1e-300)) - self._prior)

    def embed(self, reading: Reading) -> Vectors:
        """float32 (n, dim) unit vectors after the adapter."""
        return adapt(reading.vectors, self.weight, self.bias).astype(np.float32)

    def save(self, folder: Path) -> None:
        np.savez(
            folder / self.file,
            weight=self.weight.astype(np.float32),
            bias=self.bias.astype(np.float32),
            anchors=self._anchors.astype(np.float16),
            starts=self._starts,
        )

    @classmethod
    def load(cls, folder: Path) -> SimilarityHead:
        with np.load(folder / cls.file, allow_pickle=False) as arrays:
            return cls(arrays["weight"], arrays["bias"], arrays["anchors"].astype(np.float32), arrays["starts"])


class TextHead:
    """Linear support vector classifier on TF-IDF weights of what `vectorizer` counts, accents and case folded.

    Margins are no probabilities: times `sharpness` their softmax is near one, and the heads' weights do the rest. On counts
    it is as right as logistic regression or more, and learns in a fifth of the time.
    """

    file: str
    sharpness = 6.0

    def __init__(self, reader: TfidfReader) -> None:
        self._reader = reader

    @staticmethod
    def vectorizer() -> TfidfVectorizer:
        raise NotImplementedError

    @classmethod
    def fit(cls, reading: Reading, labels: Labels) -> Self:
        vectorizer = cls.vectorizer()
        features = vectorizer.fit_transform([fold(text) for text in reading.texts])
        return cls(TfidfReader(vectorizer, fit_linear(LinearSVC(tol=1e-2, random_state=0), features, labels), fold))

    def log_probabilities(self, reading: Reading) -> Probabilities:
        return log_softmax(self.sharpness * self._reader.scores(reading.texts))

    def save(self, folder: Path) -> None:
        skops.io.dump(self._reader.vectorizer, folder / f"{self.file}-features.skops")
        skops.io.dump(self._reader.model, folder / f"{self.file}.skops")

    @classmethod
    def load(cls, folder: Path) -> Self:
        vectorizer = skops.io.load(folder / f"{cls.file}-features.skops")
        return cls(TfidfReader(vectorizer, skops.io.load(folder / f"{cls.file}.skops"), fold))


class CharacterHead(TextHead):
    """Character n-grams within words: forgives typos."""

    file = "characters"

    @staticmethod
    def vectorizer() -> TfidfVectorizer:
        return TfidfVectorizer(
            analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True, min_df=2, lowercase=False, dtype=np.float32
        )


class WordHead(TextHead):
    """Words and pairs of words: in a long mail few of them tell the motive."""

    file = "words"

    @staticmethod
    def vectorizer() -> TfidfVectorizer:
        return TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, min_df=2, lowercase=False, dtype=np.float32, token_pattern=r"\w+"
        )


class PartHead:
    """A vector head on one part of an encoder that is several, the part's vectors centred first.

    Some encoders' vectors all point much the same way (of E5 any two have a cosine of .7 or more); what tells texts apart
    is how they differ from the mean.
    """

    def __init__(self, head: AttentionHead | SimilarityHead, part: slice, mean: Vectors) -> None:
        self.head = head
        self._part = part
        self._mean = mean

    @classmethod
    def fit(
        cls, kind: type[AttentionHead] | type[SimilarityHead], part: slice, reading: Reading, labels: Labels
    ) -> Self:
        mean: Vectors = _unit(reading.vectors[:, part]).mean(axis=0)
        return cls(kind.fit(_centred(reading, part, mean), labels), part, mean)

    def log_probabilities(self, reading: Reading) -> Probabilities:
        return self.head.log_probabilities(_centred(reading, self._part, self._mean))

    def embed(self, reading: Reading) -> Vectors:
        """float32 (n, dim of the part) unit vectors after the adapter; of a similarity head."""
        assert isinstance(self.head, SimilarityHead)
        return self.head.embed(_centred(reading, self._part, self._mean))

    def save(self, folder: Path) -> None:
        inside = folder / f"part-{self._part.start}-{self._part.stop}"
        inside.mkdir(exist_ok=True)
        np.save(inside / f"{type(self.head).__name__}-mean.npy", self._mean, allow_pickle=False)
        self.head.save(inside)

    @classmethod
    def load(cls, kind: type[AttentionHead] | type[SimilarityHead], part: slice, folder: Path) -> Self:
        inside = folder / f"part-{part.start}-{part.stop}"
        return cls(kind.load(inside), part, np.load(inside / f"{kind.__name__}-mean.npy", allow_pickle=False))


def _centred(reading: Reading, part: slice, mean: Vectors) -> Reading:
    def centre(vectors: Vectors) -> Vectors:
        return _unit(_unit(vectors[:, part]) - mean)

    return replace(reading, vectors=centre(reading.vectors), sentences=centre(reading.sentences))


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


VECTOR_HEADS: tuple[type[AttentionHead] | type[SimilarityHead], ...] = (AttentionHead, SimilarityHead)
TEXT_HEADS: tuple[type[CharacterHead] | type[WordHead], ...] = (CharacterHead, WordHead)


@dataclass(frozen=True)
class _Seat:
    """One head to be: its name, how it is fitted on texts and labels, how it is read from a folder."""

    name: str
    fit: Callable[[Reading, Labels], Head]
    load: Callable[[Path], Head]
    counts_words: bool = False


def _seats(encoder: TextEncoder) -> list[_Seat]:
    """Two vector heads on each part of the encoder, and the text heads."""
    seats: list[_Seat] = []
    for number, part in enumerate(encoder.parts):
        for kind in VECTOR_HEADS:
            if len(encoder.parts) == 1:
                seats.append(_Seat(kind.__name__, kind.fit, kind.load))
            else:
                fit, load = partial(PartHead.fit, kind, part), partial(PartHead.load, kind, part)
                seats.append(_Seat(f"{kind.__name__} {number + 1}", fit, load))
    return [*seats, *(_Seat(kind.__name__, kind.fit, kind.load, counts_words=True) for kind in TEXT_HEADS)]


class HeadEnsemble:
    """Calibrated probabilities of labels and of "none of them". Build with `fit` or `load`; safe to share between threads.

    Attributes: `labels` (sorted; the columns of `predict`, the null class behind them), `weights` (one a head),
    `calibration` (after `fit` only).
    """

    calibration: Calibration | None = None

    def __init__(
        self,
        encoder: TextEncoder,
        labels: tuple[str, ...],
        heads: Sequence[Head],
        weights: Sequence[float],
        has_null: bool,
    ) -> None:
        self._encoder = encoder
        self.labels = labels
        self.weights = tuple(float(weight) for weight in weights)
        self._heads = tuple(heads)
        self._has_null = has_null

    @classmethod
    def fit(
        cls,
        encoder: TextEncoder,
        examples: Sequence[Example],
        calibration: Sequence[Example] = (),
        progress: Callable[[str], None] = lambda step: None,
        pieces: Sequence[Example] = (),
    ) -> HeadEnsemble:
        """Train the heads on `examples`, those that count words also on `pieces`, which were cut out of them.

        Their weights are fitted on `calibration`: text by an author who wrote none of the examples.
        Calibration examples whose label no training example has are left out. When fewer than 100 are left, or half of
        the labels have none, the weights come from cross-validation (3 to 5 folds) instead: a shop that replaces the FAQ has no
        frozen questions for it. Raises ValueError when fewer than two classes have examples.
        """
        labels = _classes(examples)
        classes = np.unique(labels)
        if len(classes) < 2:
            raise ValueError(
                f"{len(classes)} classes in {len(examples)} examples; training needs examples of at least two"
            )
        progress("vectors")
        reading = encoder.read([example.text for example in examples])
        cut = Reading.whole([*reading.texts, *(piece.text for piece in pieces)], np.zeros((0, encoder.dim), np.float32))
        cut_labels = np.concatenate([labels, _classes(pieces)]) if pieces else labels
        heads: list[Head] = []
        seats = _seats(encoder)
        for seat in seats:
            progress(seat.name)
            heads.append(seat.fit(cut, cut_labels) if seat.counts_words else seat.fit(reading, labels))
        progress("calibration")
        known = [example for example in calibration if (example.label or NULL) in set(classes)]
        covered = {example.label for example in known}
        if len(known) >= ENOUGH_CALIBRATION and 2 * len(covered) >= len(classes):
            source, target = "held-out author", _classes(known)
            other = encoder.read([example.text for example in known])
            opinions = np.stack([head.log_probabilities(other) for head in heads])
        else:
            source = "cross-validation"
            opinions, target = _out_of_fold(seats, reading, labels, classes)
        weights = _fit_weights(opinions, np.searchsorted(classes, target))
        has_null = bool(classes[-1] == NULL)
        names = tuple(str(name) for name in (classes[:-1] if has_null else classes))
        ensemble = cls(encoder, names, heads, weights.tolist(), has_null)
        truth = tuple(None if name == NULL else str(name) for name in target)
        ensemble.calibration = Calibration(source, ensemble._with_null(_pool(opinions, weights)), truth)
        return ensemble

    def predict(self, texts: Sequence[str]) -> Probabilities:
        """float64 (len(texts), len(labels) + 1), rows add up to 1; the last column is the null class."""
        return self.predict_read(self._encoder.read(texts))

    def predict_read(self, reading: Reading) -> Probabilities:
        """`predict` for texts whose vectors are known already."""
        if not reading.texts:
            return np.zeros((0, len(self.labels) + 1))
        heard = [(head, weight) for head, weight in zip(self._heads, self.weights, strict=True) if weight > 0]
        opinions = np.stack([head.log_probabilities(reading) for head, _ in heard])
        return self._with_null(_pool(opinions, np.array([weight for _, weight in heard])))

    @property
    def head_names(self) -> tuple[str, ...]:
        """The heads by name, in the order of `weights`."""
        return tuple(seat.name for seat in _seats(self._encoder))

    def opinions(self, texts: Sequence[str]) -> list[tuple[str, Probabilities]]:
        """What each head alone says of the texts, by its name, and last what they say together: as `predict` gives it."""
        reading = self._encoder.read(texts)
        alone = [
            (name, self._with_null(np.exp(head.log_probabilities(reading))))
            for name, head in zip(self.head_names, self._heads, strict=True)
        ]
        return [*alone, ("average", self.predict_read(reading))]

    def _with_null(self, pooled: Probabilities) -> Probabilities:
        return pooled if self._has_null else np.hstack([pooled, np.zeros((len(pooled), 1))])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 (len(texts), dim) unit vectors after the adapter: what a nearest-wording index should hold."""
        first = next(head for head in self._heads if isinstance(getattr(head, "head", head), SimilarityHead))
        assert isinstance(first, SimilarityHead | PartHead)
        return first.embed(self._encoder.read(texts))

    def save(self, folder: Path) -> None:
        """Write the heads to `folder` (created if missing): skops and npz, nothing pickled."""
        folder.mkdir(parents=True, exist_ok=True)
        for head in self._heads:
            head.save(folder)
        description = {
            "method": METHOD,
            "encoder": self._encoder.version,
            "labels": self.labels,
            "weights": self.weights,
            "has_null": self._has_null,
        }
        (folder / "ensemble.json").write_text(json.dumps(description, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, encoder: TextEncoder) -> HeadEnsemble:
        """Read what `save` wrote. Raises ValueError when it was trained by another method or with another encoder: its
        numbers would mean nothing."""
        description = json.loads((folder / "ensemble.json").read_text(encoding="utf-8"))
        require_method(description, METHOD, folder)
        if description["encoder"] != encoder.version:
            raise StaleArtifactError(
                f'{folder}: trained with encoder "{description["encoder"]}", this is "{encoder.version}"; run `comptoir train`'
            )
        heads = [seat.load(folder) for seat in _seats(encoder)]
        return cls(encoder, tuple(description["labels"]), heads, description["weights"], description["has_null"])


def train_adapter(vectors: Vectors, labels: Labels, epochs: int = 10, batch: int = 64) -> tuple[Vectors, Vectors]:
    """A linear layer (weight (dim, dim), bias (dim,)) that brings vectors of one label together.

    Trained with MultipleNegativesRankingLoss (Henderson et al. 2017, "Efficient Natural Language Response Suggestion")
    on pairs of one label, every label at most once a batch, so that no negative is a false one. The null class has no
    meaning in common and gives no pairs. vectors: float32 (n, dim).
    """
    dim = vectors.shape[1]
    generator = np.random.default_rng(20260301)
    rows: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        if label != NULL:
            rows[str(label)].append(row)
    paired = sorted(label for label in rows if len(rows[label]) > 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dense = Dense(dim, dim, activation_function=None, init_weight=torch.eye(dim), init_bias=torch.zeros(dim))
    if len(paired) >= 2:
        loss = MultipleNegativesRankingLoss(SentenceTransformer(modules=[dense, Normalize()], device="cpu"), scale=20.0)
        optimizer = torch.optim.Adam(dense.parameters(), lr=1e-3)
        source = torch.from_numpy(vectors)
        steps = epochs * sum(len(rows[label]) for label in paired) // batch
        for _ in range(min(max(1, steps), MOST_STEPS)):
            chosen = generator.choice(len(paired), size=min(batch, len(paired)), replace=False)
            pairs = np.array([generator.choice(rows[paired[label]], 2, replace=False) for label in chosen])
            optimizer.zero_grad()
            value = loss([{"sentence_embedding": source[pairs[:, side]]} for side in (0, 1)], None)
            value.backward()
            optimizer.step()
    return dense.linear.weight.detach().numpy(), dense.linear.bias.detach().numpy()


def adapt(vectors: Vectors, weight: Vectors, bias: Vectors) -> Vectors:
    """Unit vectors after the adapter; float32 (n, dim)."""
    moved = vectors @ weight.T + bias
    unit: Vectors = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
    return unit


def _classes(examples: Sequence[Example]) -> Labels:
    return np.array([NULL if example.label is None else example.label for example in examples])


def _pool(opinions: Probabilities, weights: Probabilities) -> Probabilities:
    """Weighted sum of log-probabilities (heads, n, classes) as probabilities (n, classes)."""
    floored = np.maximum(opinions, np.log(FLOOR))
    return np.asarray(np.exp(log_softmax(np.tensordot(weights, floored, axes=1))), dtype=np.float64)


def _fit_weights(opinions: Probabilities, target: npt.NDArray[np.intp]) -> Probabilities:
    """One non-negative weight a head that makes the right class most probable (least mean negative log-likelihood).

    A head that would hardly be heard gets none, so that nobody has to ask it.
    """
    rows = np.arange(len(target))

    def loss(weights: Probabilities) -> float:
        return float(-np.log(np.maximum(_pool(opinions, weights)[rows, target], 1e-12)).mean())

    start = np.full(len(opinions), 1.0 / len(opinions))
    heard = minimize(loss, start, method="L-BFGS-B", bounds=[(0.0, 5.0)] * len(opinions)).x >= LEAST_WEIGHT
    if not heard.any():
        return start
    bounds = [(0.0, 5.0 if each else 0.0) for each in heard]
    found = minimize(loss, np.where(heard, start, 0.0), method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, dtype=np.float64)


def _out_of_fold(
    seats: Sequence[_Seat], reading: Reading, labels: Labels, classes: Labels
) -> tuple[Probabilities, Labels]:
    """The heads' opinions on texts that they did not learn from: (heads, n, classes) and the n labels."""
    counts = np.array([(labels == name).sum() for name in classes])
    common = np.isin(labels, classes[counts >= FEWEST_FOLDS])
    rows = np.flatnonzero(common)
    if len(rows) == 0:  # too few texts to hold any out; every head counts the same
        return np.zeros((len(seats), 1, len(classes))), classes[:1]
    opinions = np.full((len(seats), len(labels), len(classes)), np.log(FLOOR))
    folds = min(MOST_FOLDS, int(counts[counts >= FEWEST_FOLDS].min()))
    for train, held_out in StratifiedKFold(folds, shuffle=True, random_state=0).split(rows, labels[rows]):
        # Labels too rare for folds are learnt in every fold: the columns must stay those of the full model.
        learnt = np.concatenate([rows[train], np.flatnonzero(~common)])
        part, other = reading.take(learnt), reading.take(rows[held_out])
        for number, seat in enumerate(seats):
            opinions[number, rows[held_out]] = seat.fit(part, labels[learnt]).log_probabilities(other)
    return opinions[:, rows], labels[rows]
