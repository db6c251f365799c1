"""Accepted corrections become training text, and nothing else does."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import desk
import models
from bot import Reply, payload
from desk import Correction, CorrectionKind, CorrectionState
from models.artifacts import data_hash
from service import training
from service.corrections import read_accepted
from service.settings import Settings
from service.training import CORRECTION, TrainingText, as_examples
from service.training_error import TrainingError
from service.training_stamp import training_stamp
from service.wiring import House
from store import Database, migrate, utc_now
from tests.service.conftest import settings_for

MAIL = "Bonjour, je n'ai rien reçu et je veux être remboursé."
CHAT = "rendez-moi mes sous pour le zèbre bleu"
QUESTION = "le zèbre bleu arrive en combien de jours ?"
PROMISE = desk.Promise(1, 4, None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture
def shop(settings: Settings) -> Database:
    """The installation's database, with one agent."""
    database = Database(settings.database)
    migrate(database)
    with database.begin() as session:
        desk.add_agent(session, "lea", "Léa", "un mot de passe")
    return database


def correct(
    database: Database, text: str, correct: str | None, kind: CorrectionKind, channel: str = "chat", subject: str = ""
) -> int:
    """A pending correction of a message; its id."""
    with database.begin() as session:
        conversation, _ = desk.open_chat(session, "fr")
        event = desk.post_message(session, conversation.id, str(uuid.uuid4()), text, wants_human=False, promise=PROMISE)
        found = desk.Misread(
            conversation.id, event.number, kind, channel, subject or None, text, "fr", "something-else"
        )
        return desk.record_correction(session, found, correct, agent_id=1).id


def accept(database: Database, correction_id: int) -> None:
    with database.begin() as session:
        row = session.get_one(Correction, correction_id)
        assert desk.accept_correction(session, row.id, 1, correct=row.correct, text=row.text, subject=row.subject)


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """What each model would be trained on, instead of training it."""
    given: dict[str, tuple[Any, ...]] = {}

    def keep(name: str) -> Any:
        def train(*arguments: Any, **_: Any) -> models.Trained:
            given[name] = arguments
            return models.Trained(name, "0001-x", "up to date", "", {})

        return train

    for name in ("faq", "chat", "mail", "human", "language"):
        monkeypatch.setattr(models, f"train_{name}", keep(name))
    return given


def run_tasks(settings: Settings) -> None:
    text = TrainingText(settings.content_dir, read_accepted(settings))
    tasks = training._tasks(settings, text, encoder=None)  # type: ignore[arg-type]
    for name in ("faq", "chat", "mail", "human", "language"):
        tasks[name](lambda step: None)


def texts(examples: Sequence[Any]) -> set[str]:
    return {example.body if isinstance(example, models.MailExample) else example.text for example in examples}


def test_each_accepted_correction_trains_the_models_of_its_kind(
    settings: Settings, shop: Database, trained_on: dict[str, tuple[Any, ...]]
) -> None:
    accept(shop, correct(shop, MAIL, "refund", CorrectionKind.MOTIVE, "mail", "Rien reçu"))
    accept(shop, correct(shop, CHAT, "refund", CorrectionKind.MOTIVE))
    accept(shop, correct(shop, QUESTION, "delivery-times", CorrectionKind.ANSWER))

    run_tasks(settings)

    (mail,) = [each for each in trained_on["mail"][0] if each.author == CORRECTION]
    assert (mail.subject, mail.body, mail.motives) == ("Rien reçu", MAIL, ("refund",))
    assert mail.origin.endswith("/2")
    assert CHAT in texts(trained_on["mail"][1])
    (turn,) = [each for each in trained_on["chat"][0] if each.author == CORRECTION]
    assert (turn.text, turn.label) == (CHAT, "refund")
    (question,) = [each for each in trained_on["faq"][0] if each.author == CORRECTION]
    assert (question.text, question.label) == (QUESTION, "delivery-times")
    # Nobody said whether these customers wanted a human, nor checked the language.
    for name, arguments in (("human", trained_on["human"][:2]), ("language", trained_on["language"][:1])):
        for examples in arguments:
            assert not {MAIL, CHAT, QUESTION} & texts(examples), name


def test_nothing_pending_or_refused_is_trained_on(
    settings: Settings, shop: Database, trained_on: dict[str, tuple[Any, ...]]
) -> None:
    correct(shop, CHAT, "refund", CorrectionKind.MOTIVE)
    refused = correct(shop, QUESTION, "delivery-times", CorrectionKind.ANSWER)
    with shop.begin() as session:
        desk.refuse_correction(session, refused, 1, correct="delivery-times")

    run_tasks(settings)

    for name, arguments in trained_on.items():
        for examples in arguments[:2]:
            assert not {CHAT, QUESTION} & texts(examples), name


def test_the_faq_learns_them_in_the_background_too(
    settings: Settings, shop: Database, trained_on: dict[str, tuple[Any, ...]]
) -> None:
    accept(shop, correct(shop, QUESTION, None, CorrectionKind.ANSWER))

    from faq_kb import load_content

    training.train_faq(settings, None, load_content(settings.content_dir))  # type: ignore[arg-type]

    (question,) = [each for each in trained_on["faq"][0] if each.author == CORRECTION]
    assert (question.text, question.label) == (QUESTION, None)


def row(kind: CorrectionKind, channel: str, correct: str | None) -> Correction:
    return Correction(
        kind=kind,
        state=CorrectionState.ACCEPTED,
        conversation_id="c",
        event_number=3,
        channel=channel,
        subject="s" if channel == "mail" else None,
        text="t",
        language="fr",
        predicted="p",
        correct=correct,
        agent_id=1,
        created_at=utc_now(),
    )


def test_labels_that_there_are_no_more_are_left_out_and_counted() -> None:
    rows = [
        row(CorrectionKind.MOTIVE, "mail", "refund"),
        row(CorrectionKind.MOTIVE, "mail", "gone"),
        row(CorrectionKind.MOTIVE, "chat", "gone"),
        row(CorrectionKind.MOTIVE, "chat", "other"),
        row(CorrectionKind.ANSWER, "chat", "gone"),
        row(CorrectionKind.ANSWER, "chat", None),
    ]

    found = as_examples(rows, motives={"refund"}, intents={"refund"}, slugs={"delivery-times"})

    assert (found.used, found.left_out) == (3, 3)
    assert [mail.origin for mail in found.mails] == ["c/3"]
    assert [turn.label for turn in found.turns] == [None], "a chat's `other` is none of the intents"
    assert [question.label for question in found.questions] == [None]


def test_an_accepted_correction_is_new_training_data(settings: Settings, shop: Database) -> None:
    before = training_stamp(settings)
    pending = correct(shop, CHAT, "refund", CorrectionKind.MOTIVE)
    assert training_stamp(settings) == before, "nothing pending counts"

    accept(shop, pending)

    assert training_stamp(settings) != before
    example = as_examples(read_accepted(settings), {"refund"}, {"refund"}, set()).turns[0]
    assert data_hash([example]) != data_hash([])


def test_where_a_text_comes_from_changes_no_data_hash() -> None:
    known = models.Example("t", "refund", "fr", "a")
    assert repr(known) == "Example(text='t', label='refund', language='fr', author='a')"
    assert data_hash([known]) == data_hash([models.Example("t", "refund", "fr", "a", origin="c/3")])


def test_a_shop_without_a_database_or_with_an_older_one_has_no_corrections(settings: Settings) -> None:
    assert list(read_accepted(settings)) == []
    assert not (settings.data_dir / "comptoir.db").exists()
    older = Database(settings.database)
    with older.begin() as session:
        session.connection().exec_driver_sql("CREATE TABLE agent (id INTEGER)")
    older.dispose()
    assert list(read_accepted(settings)) == []


def test_a_database_that_cannot_be_read_stops_training(settings: Settings) -> None:
    (settings.data_dir / "comptoir.db").write_bytes(b"this is no database" * 100)

    with pytest.raises(TrainingError, match="corrections cannot be read"):
        read_accepted(settings)


def test_the_training_line_says_how_many_were_used() -> None:
    found = as_examples(
        [row(CorrectionKind.ANSWER, "chat", None), row(CorrectionKind.ANSWER, "chat", "gone")], set(), set(), set()
    )
    line = training._corrections_line(found)

    assert "1 used" in line
    assert "1 left out" in line


def test_an_answer_of_the_bot_says_which_entry_it_came_from(house: House) -> None:
    answer = payload(Reply.FAQ_ANSWER, title="Délais", answer="Deux jours.", slug="delivery-times")

    assert house.render(answer, "fr")["slug"] == "delivery-times"
    assert "slug" not in house.render(payload(Reply.GREET), "fr")
