"""A slow encoder reads each training text once, and what it keeps on disk is never needed for an answer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from models import kept_vectors, load_encoder
from models.encoder import E5, REMEMBERED_BATCH
from models.kept_vectors import CHUNK, KEPT_DAYS, KeptVectors, Vectors

TEXTS = [f"texte numéro {number}" for number in range(CHUNK + 5)]


class Counting:
    """A slow encoder: each text's vector tells its length."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.read: list[str] = []
        self._fail_after = fail_after

    def __call__(self, texts: Sequence[str]) -> Vectors:
        if self._fail_after is not None and len(self.read) >= self._fail_after:
            raise KeyboardInterrupt
        self.read += texts
        return np.array([[len(text), ord(text[-1])] for text in texts], dtype=np.float32)


def test_what_was_read_before_is_not_read_again(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    made = KeptVectors(tmp_path, "e@1").encode([*TEXTS, TEXTS[0]], first)
    again = KeptVectors(tmp_path, "e@1").encode([*TEXTS, TEXTS[0], "neuf"], second)
    assert first.read == TEXTS
    assert second.read == ["neuf"]
    assert np.array_equal(again[:-1], made)
    assert again.dtype == np.float32


def test_another_version_of_the_encoder_reads_everything(tmp_path: Path) -> None:
    KeptVectors(tmp_path, "e@1").encode(TEXTS, Counting())
    other = Counting()
    KeptVectors(tmp_path, "e@2").encode(TEXTS, other)
    assert other.read == TEXTS


def test_an_interrupted_training_keeps_what_it_has_read(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        KeptVectors(tmp_path, "e@1").encode(TEXTS, Counting(fail_after=CHUNK))
    rest = Counting()
    KeptVectors(tmp_path, "e@1").encode(TEXTS, rest)
    assert rest.read == TEXTS[CHUNK:]


@pytest.mark.parametrize("trouble", ["not a database", "no folder"])
def test_without_a_file_everything_is_read(tmp_path: Path, trouble: str) -> None:
    kept = KeptVectors(tmp_path / "vectors", "e@1")
    if trouble == "no folder":
        (tmp_path / "vectors").write_text("a file where the folder should be")
    else:
        kept.encode(TEXTS[:1], Counting())
        next((tmp_path / "vectors").glob("*.sqlite")).write_bytes(b"not a database " * 1000)
    read = Counting()
    assert kept.encode(TEXTS, read).shape == (len(TEXTS), 2)
    assert read.read == TEXTS


def test_what_no_training_asks_for_any_more_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptVectors(tmp_path, "e@1")
    kept.encode(["ancien", "courant"], Counting())
    today = kept_vectors._today()
    for days in (KEPT_DAYS - 1, KEPT_DAYS + 1):
        monkeypatch.setattr(kept_vectors, "_today", lambda days=days: today + days)
        kept.encode(["courant"], Counting())
    read = Counting()
    kept.encode(["ancien", "courant"], read)
    assert read.read == ["ancien"]


def test_the_second_encoder_keeps_training_text_and_no_shoppers(tmp_path: Path) -> None:
    encoder = load_encoder(E5, keep_in=tmp_path)
    encoder.encode(["où est mon colis ?"])
    assert not any(tmp_path.iterdir())
    texts = [f"colis {number}" for number in range(REMEMBERED_BATCH + 1)]
    made = encoder.encode(texts)
    assert np.allclose(made[:3], load_encoder(E5).encode(texts[:3]), atol=1e-3)
    assert np.array_equal(load_encoder(E5, keep_in=tmp_path).encode(texts), made)
