"""TF-IDF and a linear classifier on it, read word by word.

What `TfidfVectorizer` and a linear model of scikit-learn say of a text, without the cost of their checks: customers use the
same few thousand words, so which n-grams a word has is looked up rather than counted anew.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

Scores = npt.NDArray[np.float32]
Model = TypeVar("Model", LogisticRegression, LinearSVC)
_Columns = npt.NDArray[np.int32]

REMEMBERED_WORDS = 20_000  # a reader; some 5 MB
REMEMBERED_TEXTS = 512  # what a few messages are cut into: every head folds them
LONGEST_REMEMBERED_TEXT = 2000  # characters
LONGEST_REMEMBERED = 40  # characters: longer ones are nobody's words, and could be sent to fill the memory
_DIGIT = re.compile(r"\d")


def fold(text: str) -> str:
    """Lower case, without accents, every digit a 0: what the text heads read."""
    return _remembered_fold(text) if len(text) <= LONGEST_REMEMBERED_TEXT else _fold(text)


def _fold(text: str) -> str:
    plain = text.lower().replace("’", "'").replace("œ", "oe").replace("ß", "ss")
    if not plain.isascii():
        plain = "".join(letter for letter in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(letter))
    return _DIGIT.sub("0", plain)


_remembered_fold = lru_cache(REMEMBERED_TEXTS)(_fold)


class TfidfReader:
    """A fitted vectorizer and a linear model with its weights; safe to share between threads.

    `vectorizer` counts either characters within words (`analyzer="char_wb"`) or words and their pairs
    (`ngram_range=(1, 2)`), with `sublinear_tf`. `prepare` is what was done to the texts before it.
    """

    def __init__(
        self,
        vectorizer: TfidfVectorizer,
        model: LogisticRegression | LinearSVC,
        prepare: Callable[[str], str] = str,
    ) -> None:
        assert vectorizer.sublinear_tf
        assert vectorizer.norm == "l2"
        self.vectorizer = vectorizer
        self.model = model
        self._vocabulary: dict[str, int] = vectorizer.vocabulary_
        self._idf = vectorizer.idf_.astype(np.float32)
        weight, self._bias = dense_weights(model)
        self._weight = np.ascontiguousarray(weight)
        self._prepare = prepare
        self._pairs = vectorizer.analyzer == "word"
        assert not self._pairs or vectorizer.ngram_range == (1, 2)
        self._analyze: Callable[[str], list[str]] = vectorizer.build_analyzer()
        self._tokenize: Callable[[str], list[str]] = vectorizer.build_tokenizer()
        self._columns_of_word = lru_cache(REMEMBERED_WORDS)(self._look_up)

    def scores(self, texts: Sequence[str]) -> Scores:
        """The model's margins or log-odds, float32 (len(texts), classes)."""
        found = [self._columns(self._prepare(text)) for text in texts]
        rows = np.repeat(np.arange(len(texts)), [len(columns) for columns in found])
        if not len(rows):
            return np.tile(self._bias, (len(texts), 1))
        size = len(self._idf)
        cells, counts = np.unique(rows * size + np.concatenate(found), return_counts=True)
        rows, columns = np.divmod(cells, size)
        values = (1 + np.log(counts, dtype=np.float32)) * self._idf[columns]
        length = np.sqrt(np.bincount(rows, values * values, minlength=len(texts)))
        starts = np.searchsorted(rows, np.arange(len(texts) + 1))
        features = csr_array((values / length[rows].astype(np.float32), columns, starts), shape=(len(texts), size))
        margins: Scores = features @ self._weight
        return margins + self._bias

    def _columns(self, text: str) -> _Columns:
        """The columns of all n-grams of a prepared text that the vectorizer knows, as often as they occur."""
        if not self._pairs:
            words = [
                self._columns_of_word(word) if len(word) <= LONGEST_REMEMBERED else self._look_up(word)
                for word in text.split()
            ]
            return np.concatenate(words) if words else np.zeros(0, np.int32)
        tokens = self._tokenize(text)
        grams = [*tokens, *(f"{first} {second}" for first, second in pairwise(tokens))]
        return self._known(grams)

    def _look_up(self, word: str) -> _Columns:
        return self._known(self._analyze(word))

    def _known(self, grams: Sequence[str]) -> _Columns:
        columns = (self._vocabulary.get(gram) for gram in grams)
        return np.array([column for column in columns if column is not None], dtype=np.int32)


def dense_weights(model: LogisticRegression | LinearSVC) -> tuple[Scores, Scores]:
    """A fitted linear classifier as weight (features, classes) and bias (classes,), float32."""
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.array([0.0, bias[0]])
    return weight.T.astype(np.float32), bias.astype(np.float32)


def fit_linear(model: Model, features: npt.ArrayLike, labels: npt.ArrayLike) -> Model:
    """`model`, fitted on one BLAS thread; asserts that it moved at all."""
    with threadpool_limits(1, user_api="blas"):
        model.fit(features, labels)
    assert np.min(model.n_iter_) > 0, "the classifier did not move; lower its tolerance"
    return model
