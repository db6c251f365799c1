"""A version is trained once for its data, served only when not worse, and one call brings the last one back."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from models import (
    ArtifactError,
    Encoder,
    Example,
    HeadEnsemble,
    attention,
    current_folder,
    current_version,
    read_card,
    rollback,
    served_threshold,
    train_chat,
    versions,
)
from models.artifacts import promote, prune

FROZEN = [
    Example("mon paquet, il est où", "order_tracking", "fr", "h"),
    Example("remboursement svp", "refund", "fr", "h"),
    Example("une facture merci", "invoice", "fr", "h"),
    Example("un conseiller vite", "talk_to_human", "fr", "h"),
    Example("quelle heure est-il à Tokyo", None, "fr", "h"),
]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What becomes of versions is at stake here, not how well the network has learnt: a tenth of its steps will do."""
    monkeypatch.setattr(attention, "FEWEST_STEPS", 60)


@pytest.fixture
def shuffled(turns: list[Example]) -> list[Example]:
    """The same texts under wrong labels: whoever learns from them reads worse."""
    wrong = {
        "order_tracking": "refund",
        "refund": "invoice",
        "invoice": "talk_to_human",
        "talk_to_human": "order_tracking",
    }
    return [replace(turn, label=wrong.get(turn.label or "")) for turn in turns]


def test_the_first_version_is_served_with_its_card(turns: list[Example], encoder: Encoder, artifacts: Path) -> None:
    steps: list[str] = []
    trained = train_chat(turns, FROZEN, encoder, artifacts, steps.append)
    folder = current_folder(artifacts, "chat")
    assert (trained.status, folder.name) == ("served", trained.version)
    assert read_card(folder)["metrics"]["accuracy"] >= 0.6
    assert {"card.md", "confusion.png", "reliability.png"} <= {file.name for file in folder.iterdir()}
    assert 0 < served_threshold(folder) <= 1.01
    assert "chat: CharacterHead" in steps


def test_same_data_is_not_trained_again(turns: list[Example], encoder: Encoder, artifacts: Path) -> None:
    first = train_chat(turns, FROZEN, encoder, artifacts)
    again = train_chat(turns, FROZEN, encoder, artifacts)
    assert (again.status, again.version) == ("up to date", first.version)
    assert len(versions(artifacts, "chat")) == 1


def test_the_card_names_where_texts_come_from_that_stand_in_no_file(
    turns: list[Example], encoder: Encoder, artifacts: Path
) -> None:
    more = [*turns, Example("mes sous svp", "refund", "fr", "correction", origin="c0ffee/7")]
    first, second = (train_chat(examples, FROZEN, encoder, artifacts) for examples in (turns, more))
    assert first.version != second.version
    card = read_card(artifacts / "chat" / second.version)
    assert "c0ffee/7" in json.dumps(card)
    assert "origins" not in json.dumps(read_card(artifacts / "chat" / first.version))


def test_a_worse_version_is_kept_but_not_served(
    turns: list[Example], shuffled: list[Example], encoder: Encoder, artifacts: Path
) -> None:
    good = train_chat(turns, FROZEN, encoder, artifacts)
    bad = train_chat(shuffled, FROZEN, encoder, artifacts)
    assert bad.status == "kept"
    assert good.version in bad.reason
    assert current_version(artifacts, "chat") == good.version
    assert versions(artifacts, "chat") == (good.version, bad.version)
    assert "not served" in read_card(artifacts / "chat" / bad.version)["verdict"]


def test_rollback_serves_the_version_before(turns: list[Example], encoder: Encoder, artifacts: Path) -> None:
    first = train_chat(turns, FROZEN, encoder, artifacts)
    more = [*turns, Example("vous pouvez me rembourser ?", "refund", "fr", "t1")]
    second = train_chat(more, [], encoder, artifacts)
    assert current_version(artifacts, "chat") == second.version
    assert rollback(artifacts, "chat") == first.version
    assert current_version(artifacts, "chat") == first.version
    with pytest.raises(ArtifactError, match="nothing to roll back"):
        rollback(artifacts, "chat")


def test_old_versions_go_but_never_the_served_one_and_that_before_it(
    turns: list[Example], encoder: Encoder, artifacts: Path
) -> None:
    served = [f"{number:04d}-served" for number in (1, 2)]
    worse = [f"{number:04d}-worse" for number in range(3, 10)]
    for version in (*served, *worse):
        (artifacts / "chat" / version).mkdir(parents=True)
        (artifacts / "chat" / version / "card.json").write_text("{}")
    for version in served:
        promote(artifacts, "chat", version)
    trained = train_chat(turns, FROZEN, encoder, artifacts)  # what cannot be loaded is nothing to be worse than
    assert versions(artifacts, "chat") == ("0002-served", *worse[-4:], trained.version)
    assert rollback(artifacts, "chat") == "0002-served"


def test_a_training_that_was_cut_short_goes_after_a_day(artifacts: Path) -> None:
    old, running = artifacts / "chat" / "0001-cut", artifacts / "chat" / "0002-running"
    for folder in (old, running):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    assert prune(artifacts, "chat") == ("0001-cut",)
    assert [folder.name for folder in (artifacts / "chat").iterdir()] == ["0002-running"]


def test_an_untrained_artefact_names_the_remedy(artifacts: Path) -> None:
    with pytest.raises(ArtifactError, match="comptoir train"):
        current_folder(artifacts, "chat")


def test_what_was_kept_and_not_served_is_said_to_be_so_again(
    turns: list[Example], shuffled: list[Example], encoder: Encoder, artifacts: Path
) -> None:
    first = train_chat(turns, FROZEN, encoder, artifacts)
    kept = train_chat(shuffled, FROZEN, encoder, artifacts)
    again = train_chat(shuffled, FROZEN, encoder, artifacts)
    assert (kept.status, again.status, again.version) == ("kept", "kept", kept.version)
    assert "not served" in again.reason
    assert current_version(artifacts, "chat") == first.version


@pytest.mark.parametrize("pointer", ["", None])
def test_a_version_that_was_never_served_is_served_now(
    turns: list[Example], encoder: Encoder, artifacts: Path, pointer: str | None
) -> None:
    first = train_chat(turns, FROZEN, encoder, artifacts)
    current = artifacts / "chat" / "current"
    current.unlink() if pointer is None else current.write_text(pointer)
    assert train_chat(turns, FROZEN, encoder, artifacts).status == "up to date"
    assert current_version(artifacts, "chat") == first.version


@pytest.mark.parametrize("damage", [b"", b"no zip file", None], ids=["empty", "other", "gone"])
def test_a_damaged_version_is_trained_anew(
    turns: list[Example], encoder: Encoder, artifacts: Path, damage: bytes | None
) -> None:
    first = train_chat(turns, FROZEN, encoder, artifacts)
    file = next((artifacts / "chat" / first.version).rglob("*.skops"))
    file.unlink() if damage is None else file.write_bytes(damage)
    again = train_chat(turns, FROZEN, encoder, artifacts)
    assert again.status == "served"
    assert again.version != first.version
    assert load_ensemble(artifacts, encoder).predict(["où est mon colis"]).shape[0] == 1


def load_ensemble(artifacts: Path, encoder: Encoder) -> HeadEnsemble:
    return HeadEnsemble.load(artifacts / "chat" / str(current_version(artifacts, "chat")), encoder)
