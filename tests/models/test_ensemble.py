"""The one mechanism: calibrated probabilities that survive saving, and a null class that takes what no label covers."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import skops.io
from scipy.special import log_softmax

from models import Encoder, Example, HeadEnsemble, load_encoder
from models.ensemble import METHOD, CharacterHead, Reading, WordHead
from models.tfidf import fold


@pytest.fixture(scope="module")
def ensemble(encoder: Encoder, turns: list[Example]) -> HeadEnsemble:
    return HeadEnsemble.fit(encoder, turns)


def test_probabilities_add_up_and_end_with_the_null_class(ensemble: HeadEnsemble) -> None:
    probabilities = ensemble.predict(["mon colis n'arrive pas", "bonjour"])
    assert ensemble.labels == ("invoice", "order_tracking", "refund", "talk_to_human")
    assert probabilities.shape == (2, 5)
    assert np.allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("toujours pas de nouvelles de mon colis", "order_tracking"),
        ("rendez-moi mon argent", "refund"),
        ("can you send the invoice", "invoice"),
        ("je veux parler à quelqu'un", "talk_to_human"),
    ],
)
def test_new_wordings_reach_their_label(ensemble: HeadEnsemble, text: str, label: str) -> None:
    assert ensemble.labels[ensemble.predict([text])[0, :-1].argmax()] == label


def test_a_question_from_elsewhere_goes_to_the_null_class(ensemble: HeadEnsemble) -> None:
    inside, outside = ensemble.predict(["où en est ma commande", "raconte une autre blague"])
    assert outside[-1] > 0.5 > inside[-1]


def test_what_is_loaded_predicts_what_was_saved(ensemble: HeadEnsemble, encoder: Encoder, tmp_path: Path) -> None:
    ensemble.save(tmp_path)
    texts = ["facture svp", "wo ist mein Paket", "il pleut"]
    assert np.allclose(HeadEnsemble.load(tmp_path, encoder).predict(texts), ensemble.predict(texts), atol=2e-3)


@pytest.mark.parametrize("kind", [CharacterHead, WordHead])
def test_a_text_head_says_what_its_vectorizer_and_classifier_say(
    kind: type[CharacterHead] | type[WordHead], turns: list[Example], tmp_path: Path
) -> None:
    labels = np.array([turn.label or "" for turn in turns])
    head = kind.fit(_words(turn.text for turn in turns), labels)
    head.save(tmp_path)
    features, classifier = (skops.io.load(tmp_path / f"{kind.file}{part}.skops") for part in ("-features", ""))

    asked = ("Facture, facture, FACTURE svp !", "où est ma commande", "¿?", "")
    margins = classifier.decision_function(features.transform([fold(text) for text in asked]))
    expected = log_softmax(kind.sharpness * margins, axis=1)

    assert np.allclose(head.log_probabilities(_words(asked)), expected, atol=1e-4)


def _words(texts: Iterable[str]) -> Reading:
    """Texts without vectors: what a head that counts words needs."""
    return Reading.whole(tuple(texts), np.zeros((0, 1), np.float32))


def test_nothing_is_pickled(ensemble: HeadEnsemble, tmp_path: Path) -> None:
    ensemble.save(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {".skops", ".npz", ".json"}


def test_heads_of_another_encoder_are_refused(ensemble: HeadEnsemble, encoder: Encoder, tmp_path: Path) -> None:
    ensemble.save(tmp_path)
    description = tmp_path / "ensemble.json"
    description.write_text(description.read_text().replace(encoder.version, "another@1"))
    with pytest.raises(ValueError, match="run `comptoir train`"):
        HeadEnsemble.load(tmp_path, encoder)


def test_heads_of_another_method_are_refused(ensemble: HeadEnsemble, encoder: Encoder, tmp_path: Path) -> None:
    ensemble.save(tmp_path)
    description = tmp_path / "ensemble.json"
    description.write_text(description.read_text().replace(METHOD, "heads-0"))
    with pytest.raises(ValueError, match="another version of Comptoir; run `comptoir train`"):
        HeadEnsemble.load(tmp_path, encoder)


def test_the_adapter_brings_one_meaning_together(ensemble: HeadEnsemble, encoder: Encoder) -> None:
    texts = ["où est ma commande", "c'est parti ou pas encore"]
    before, after = encoder.encode(texts), ensemble.embed(texts)
    assert np.allclose(np.linalg.norm(after, axis=1), 1, atol=1e-4)
    assert after[0] @ after[1] > before[0] @ before[1] + 0.1


def test_without_a_null_class_its_column_is_zero(encoder: Encoder, turns: list[Example]) -> None:
    closed = HeadEnsemble.fit(encoder, [turn for turn in turns if turn.label is not None])
    assert closed.predict(["il pleut"])[0, -1] == 0


def test_one_class_cannot_be_learnt(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="at least two"):
        HeadEnsemble.fit(encoder, [Example("a", "x", "fr"), Example("b", "x", "fr")])


def test_a_second_encoder_gives_two_more_opinions(turns: list[Example], tmp_path: Path) -> None:
    full = load_encoder("full")
    fitted = HeadEnsemble.fit(full, turns)
    assert len(fitted.head_names) == len(set(fitted.head_names)) == 6
    assert len(fitted.weights) == 6
    fitted.save(tmp_path)
    texts = ["facture svp", "wo ist mein Paket", "il pleut"]
    assert np.allclose(HeadEnsemble.load(tmp_path, full).predict(texts), fitted.predict(texts), atol=2e-3)
    assert fitted.embed(texts).shape == (3, 512)
    opinions = dict(fitted.opinions(texts))
    assert np.allclose(opinions["average"], fitted.predict(texts))
    assert all(np.allclose(each.sum(axis=1), 1) for each in opinions.values())
