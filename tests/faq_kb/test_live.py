"""An editor saves a file while shoppers are asking."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faq_kb import Content, FaqLive, FaqSearch, Mistake, Thresholds, TrainedHeads, training_examples, watch
from models import Encoder, Example, HeadEnsemble
from tests.faq_kb.conftest import ACCOUNT, DELIVERY, Write

QUESTION = "frais de port svp"


PATIENCE = 20.0  # for a machine with other work to do; what must be quick is timed


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def answer(faq: FaqLive) -> str:
    return faq.search(QUESTION, "fr").top[0].answer_markdown


@pytest.fixture
def live(encoder: Encoder, small_faq: Path) -> Iterator[FaqLive]:
    with FaqLive(small_faq, encoder) as faq:
        yield faq


def test_a_saved_file_changes_the_answer_within_two_seconds(live: FaqLive, write: Write) -> None:
    assert "3,90" in answer(live)
    taken = []

    for price in ("4,10", "4,20", "4,30"):
        saved = time.monotonic()
        write("fr/livraison", DELIVERY.replace("3,90", price))
        assert within(PATIENCE, lambda price=price: price in answer(live))
        taken.append(time.monotonic() - saved)

    assert min(taken) < 2.0


def test_a_new_entry_answers_without_training(live: FaqLive, write: Write) -> None:
    write(
        "fr/boutique",
        ACCOUNT.replace("J'ai oublié mon mot de passe", "Avez-vous un chat ?")
        .replace("forgotten-password", "shop-cat")
        .replace("- mdp oublié", "- comment s'appelle le chat de la boutique")
        .replace(
            "- impossible de me connecter, je ne sais plus le code que j'avais choisi",
            "- y a-t-il un animal au magasin",
        ),
    )

    assert within(PATIENCE, lambda: live.search("comment s'appelle le chat de la boutique", "fr").slug == "shop-cat")
    assert live.entry_count == 4


def test_a_broken_file_changes_nothing_and_is_reported(
    encoder: Encoder, small_faq: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[list[Mistake]] = []
    with FaqLive(small_faq, encoder, on_mistakes=lambda mistakes: told.append(list(mistakes))) as faq:
        with caplog.at_level(logging.WARNING):
            file = write("fr/livraison", DELIVERY.replace("La livraison coûte **3,90 €**.", ""))
            assert within(PATIENCE, lambda: len(faq.mistakes) == 1)

        assert "3,90" in answer(faq)
        assert faq.entry_count == 3
        assert within(PATIENCE, lambda: f'{file}:14: entry "delivery-costs" has no answer' in caplog.text)

        write("fr/livraison", DELIVERY.replace("3,90", "5,00"))
        assert within(PATIENCE, lambda: "5,00" in answer(faq))
        assert faq.mistakes == ()
    assert [len(mistakes) for mistakes in told] == [1, 0]


def test_a_file_moved_into_place_counts_as_saved(live: FaqLive, folder: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.md"
    draft.write_text(DELIVERY.replace("3,90", "6,10"), encoding="utf-8")

    draft.replace(folder / "fr" / "livraison.md")

    assert within(PATIENCE, lambda: "6,10" in answer(live))


def test_a_folder_that_is_replaced_is_still_followed(live: FaqLive, folder: Path, write: Write, tmp_path: Path) -> None:
    folder.rename(tmp_path / "old")
    assert within(PATIENCE, lambda: bool(live.mistakes))
    assert "3,90" in answer(live)

    write("fr/livraison", DELIVERY.replace("3,90", "7,70"))

    assert within(PATIENCE, lambda: "7,70" in answer(live))


def test_a_failing_listener_does_not_end_the_watch(small_faq: Path, write: Write) -> None:
    calls: list[float] = []
    stop = threading.Event()

    def listener() -> None:
        calls.append(time.monotonic())
        raise RuntimeError("disk on fire")

    thread = threading.Thread(target=watch, args=(small_faq, listener, stop))
    thread.start()
    assert within(PATIENCE, lambda: len(calls) == 1)
    write("fr/livraison", DELIVERY.replace("3,90", "8,80"))

    assert within(PATIENCE, lambda: len(calls) >= 2)
    stop.set()
    thread.join(timeout=PATIENCE)
    assert not thread.is_alive()


def test_shoppers_who_ask_during_an_edit_see_one_whole_state(encoder: Encoder, small_faq: Path, write: Write) -> None:
    faq = FaqLive(small_faq, encoder)
    seen: set[tuple[str | None, str]] = set()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            result = faq.search(QUESTION, "fr")
            seen.add((result.slug, result.top[0].answer_markdown))

    shoppers = [threading.Thread(target=ask) for _ in range(4)]
    for shopper in shoppers:
        shopper.start()
    for price in ("1,00", "2,00", "3,00", "4,00"):
        write("fr/livraison", DELIVERY.replace("3,90", price))
        faq.reload()
        assert price in answer(faq)
    stop.set()
    for shopper in shoppers:
        shopper.join()

    prices = ("3,90", "1,00", "2,00", "3,00", "4,00")
    assert seen <= {("delivery-costs", f"La livraison coûte **{price} €**.") for price in prices}


def test_heads_are_trained_in_the_background_and_then_served(encoder: Encoder, small_faq: Path, write: Write) -> None:
    trained: list[Content] = []

    def train(content: Content) -> TrainedHeads:
        trained.append(content)
        outside = [Example("quel temps fera-t-il demain", None, "fr"), Example("qui a gagné le match", None, "fr")]
        return TrainedHeads(HeadEnsemble.fit(encoder, [*training_examples(content), *outside]), Thresholds(heads=0.4))

    with FaqLive(small_faq, encoder, train=train, quiet_seconds=0.1) as faq:
        write("fr/compte", ACCOUNT.replace("- mdp oublié", "- mdp oublié\n- le sésame de mon espace m'échappe"))
        assert within(PATIENCE, lambda: served_heads(faq) is not None)

        assert trained[-1].entries == faq.content.entries
        assert faq.search("je ne sais plus mon mot de passe", "fr").slug == "forgotten-password"
        count = len(trained)
        write("fr/livraison", DELIVERY.replace("3,90", "9,90"))
        assert within(PATIENCE, lambda: "9,90" in answer(faq))
        time.sleep(0.5)
        assert len(trained) == count, "an answer was edited, no wording: nothing to learn"


def test_training_that_fails_leaves_what_is_served(
    encoder: Encoder, small_faq: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    def train(content: Content) -> TrainedHeads:
        raise RuntimeError("no memory")

    with FaqLive(small_faq, encoder, train=train, quiet_seconds=0.1) as faq:
        write("fr/compte", ACCOUNT.replace("- mdp oublié", "- mdp perdu"))

        assert within(PATIENCE, lambda: "could not be trained" in caplog.text)
        assert faq.search("mdp perdu", "fr").answered


def served_heads(faq: FaqLive) -> object:
    search: FaqSearch = faq._search
    return search.space.heads
