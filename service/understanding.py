"""What is learned, opened for use: encoder, understanding, FAQ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import structlog
from sqlalchemy import select

import faq_kb
import models
from bot import Reply
from desk import Actor, Event, EventKind
from models import Encoder, HeadEnsemble, Understanding
from service.settings import Settings
from service.training import train_faq
from store import Database

log = structlog.get_logger()

UNANSWERED = frozenset({Reply.SUGGESTIONS.value, Reply.UNKNOWN.value, Reply.NO_ALERTS.value})
"""The bot's replies that admit that no entry answers for sure."""


def open_encoder(settings: Settings) -> Encoder:
    return models.load_encoder(settings.encoder, settings.vectors_dir)


def open_understanding(settings: Settings, encoder: Encoder) -> Understanding:
    """Raises models.ArtifactError, naming the remedy, when nothing is trained yet."""
    return models.load_understanding(settings.artifacts_dir, encoder, settings.default_language)


def open_faq_live(settings: Settings, encoder: Encoder) -> faq_kb.FaqLive:
    """The FAQ that follows its folder once started; new wordings are learned in the background."""
    heads, thresholds = _heads(settings, encoder)

    def train(content: faq_kb.Content) -> faq_kb.TrainedHeads | None:
        trained = train_faq(settings, encoder, content)
        log.info("FAQ heads", version=trained.version, status=trained.status, reason=trained.reason)
        if trained.status == "kept":
            return None
        return faq_kb.TrainedHeads(*_heads(settings, encoder))

    def on_mistakes(mistakes: Sequence[faq_kb.Mistake]) -> None:
        for mistake in mistakes:
            log.warning("FAQ content has a mistake; the last good version is served", where=str(mistake))

    return faq_kb.FaqLive(settings.content_dir, encoder, heads, thresholds, train=train, on_mistakes=on_mistakes)


def open_faq_search(settings: Settings, encoder: Encoder) -> faq_kb.FaqSearch:
    """The FAQ as its folder is at this moment."""
    heads, thresholds = _heads(settings, encoder)
    content = faq_kb.load_content(settings.content_dir)
    return faq_kb.FaqSearch(encoder, content, heads, thresholds)


def unanswered_questions(database: Database) -> Counter[str]:
    """What shoppers asked and the bot could not answer, with how often."""
    with database.read() as session:
        rows = session.scalars(
            select(Event).where(Event.kind == EventKind.MESSAGE).order_by(Event.conversation_id, Event.number),
            execution_options={"yield_per": 1000},
        )
        asked: Counter[str] = Counter()
        question: Event | None = None
        for event in rows:
            if event.actor == Actor.CUSTOMER:
                question = event
            elif event.body.get("response") in UNANSWERED and question is not None:
                if question.conversation_id == event.conversation_id:
                    asked[question.body["text"]] += 1
                question = None
    return asked


def find_gaps(settings: Settings) -> list[faq_kb.Gap]:
    """The unanswered questions of this installation, clustered."""
    database = Database(settings.database)
    questions = unanswered_questions(database)
    database.dispose()
    if not questions:
        return []
    encoder = open_encoder(settings)
    return list(faq_kb.find_gaps(list(questions.items()), encoder, open_faq_search(settings, encoder)))


def _heads(settings: Settings, encoder: Encoder) -> tuple[HeadEnsemble, faq_kb.Thresholds]:
    folder = models.current_folder(settings.artifacts_dir, "faq")
    return HeadEnsemble.load(folder, encoder), faq_kb.Thresholds(heads=models.served_threshold(folder))
