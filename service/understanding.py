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
from service.training import OUT_OF_SCOPE_DIR, learnt_texts, too_many_entries, train_faq
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
    trained = _heads(settings, encoder, faq_kb.load_content(settings.content_dir))

    def train(content: faq_kb.Content) -> faq_kb.TrainedHeads | None:
        if too_many_entries(content):
            return _heads(settings, encoder, content)
        trained = train_faq(settings, encoder, content)
        log.info("FAQ heads", version=trained.version, status=trained.status, reason=trained.reason)
        if trained.status == "kept":
            return None
        return _heads(settings, encoder, content)

    def on_mistakes(mistakes: Sequence[faq_kb.Mistake]) -> None:
        for mistake in mistakes:
            log.warning("FAQ content has a mistake; the last good version is served", where=str(mistake))

    return faq_kb.FaqLive(
        settings.content_dir,
        encoder,
        trained.heads,
        trained.thresholds,
        learnt=learnt_texts(settings) if trained.heads else None,
        unanswerable=_unanswerable(),
        train=train,
        on_mistakes=on_mistakes,
    )


def open_faq_search(settings: Settings, encoder: Encoder) -> faq_kb.FaqSearch:
    """The FAQ as its folder is at this moment."""
    content = faq_kb.load_content(settings.content_dir)
    trained = _heads(settings, encoder, content)
    return faq_kb.FaqSearch(
        encoder,
        content,
        trained.heads,
        trained.thresholds,
        learnt=learnt_texts(settings) if trained.heads else None,
        unanswerable=_unanswerable(),
    )


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


def _heads(settings: Settings, encoder: Encoder, content: faq_kb.Content) -> faq_kb.TrainedHeads:
    """The heads to serve; none where there are too many entries for any, or where training found no probability from which
    they may be believed (a shop's own FAQ with few wordings): the index knows every wording too, and is sure of what is near
    one."""
    if too_many_entries(content):
        return faq_kb.TrainedHeads(None, faq_kb.Thresholds())
    folder = models.current_folder(settings.artifacts_dir, "faq")
    threshold = models.served_threshold(folder)
    if threshold >= models.NEVER:
        return faq_kb.TrainedHeads(None, faq_kb.Thresholds())
    return faq_kb.TrainedHeads(HeadEnsemble.load(folder, encoder), faq_kb.Thresholds(heads=threshold))


def _unanswerable() -> list[str]:
    return [row.text for row in models.read_out_of_scope(OUT_OF_SCOPE_DIR)]
