"""The attending head finds the telling sentence of a text, wherever it stands, and reads alike alone and in a batch."""

from pathlib import Path

import numpy as np
import pytest

from models import Encoder, Example
from models.attention import AttentionHead
from models.encoder import BySentence, Reading

AROUND = (
    "Bonjour.",
    "Il fait beau chez nous ce matin.",
    "Je vous souhaite une bonne journée.",
    "Mon chat dort encore.",
)


@pytest.fixture(scope="module")
def letters(encoder: Encoder, turns: list[Example]) -> Reading:
    """Each turn twice: alone, and somewhere among sentences that say nothing."""
    hidden = [
        " ".join([*AROUND[: row % 4], f"{turn.text.capitalize()}.", *AROUND[row % 4 :]])
        for row, turn in enumerate(turns)
    ]
    return BySentence(encoder).read([*(turn.text for turn in turns), *hidden])


@pytest.fixture(scope="module")
def head(letters: Reading, turns: list[Example]) -> AttentionHead:
    return AttentionHead.fit(letters, np.array([turn.label or "" for turn in turns] * 2))


@pytest.mark.parametrize(
    ("sentence", "label"),
    [
        ("Pouvez-vous me faire une facture ?", "invoice"),
        ("Je n'ai toujours pas reçu mon colis.", "order_tracking"),
        ("Rendez-moi mon argent.", "refund"),
    ],
)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_the_telling_sentence_is_found_wherever_it_stands(
    head: AttentionHead, encoder: Encoder, turns: list[Example], sentence: str, label: str, place: int
) -> None:
    read = BySentence(encoder).read([" ".join([*AROUND[:place], sentence, *AROUND[place:]])])
    labels = sorted({turn.label or "" for turn in turns})
    assert labels[int(head.log_probabilities(read)[0].argmax())] == label


def test_a_text_reads_alike_alone_and_in_a_batch(head: AttentionHead, letters: Reading) -> None:
    rows = np.array([3, 40, 7, 3])
    together = head.log_probabilities(letters)
    assert np.allclose(head.log_probabilities(letters.take(rows)), together[rows], atol=1e-4)
    for row in rows:
        assert np.allclose(head.log_probabilities(letters.take(np.array([row])))[0], together[row], atol=1e-4)
    assert np.allclose(np.exp(together).sum(axis=1), 1)


def test_the_same_texts_give_the_same_head(head: AttentionHead, letters: Reading, turns: list[Example]) -> None:
    again = AttentionHead.fit(letters, np.array([turn.label or "" for turn in turns] * 2))
    assert np.array_equal(again.log_probabilities(letters), head.log_probabilities(letters))


def test_what_is_loaded_reads_as_what_was_saved(head: AttentionHead, letters: Reading, tmp_path: Path) -> None:
    head.save(tmp_path)
    assert np.array_equal(AttentionHead.load(tmp_path).log_probabilities(letters), head.log_probabilities(letters))
