"""`comptoir evaluate`: the product's own answers to a file of questions, mails or chat turns, and how right they are."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import triage
from models import corpus
from models import evaluate as measure
from service.settings import Settings
from service.understanding import open_encoder, open_faq_search, open_understanding

Row = dict[str, Any]

REQUIRED = {
    "faq": ("text", "language", "slug"),
    "triage": ("subject", "body", "language", "motives", "wants_human", "order_numbers"),
    "chat": ("text", "language", "intent", "order_numbers"),
}


class EvaluationError(Exception):
    """The file cannot be evaluated; the message names file, line and remedy."""


def evaluate_file(settings: Settings, task: str, file: Path) -> tuple[list[Row], dict[str, Any]]:
    """Predictions (a row with the same `id` for each row of the file) and figures. Raises EvaluationError.

    Rows without an `id` are numbered by their line.
    """
    try:
        gold = corpus.read_json_lines(file, REQUIRED[task])
    except corpus.CorpusError as error:
        raise EvaluationError(str(error)) from error
    if not gold:
        raise EvaluationError(f"{file}: no rows; write one JSON object a line with {', '.join(REQUIRED[task])}")
    for index, row in enumerate(gold, 1):
        row.setdefault("id", str(index))
    encoder = open_encoder(settings)
    if task == "faq":
        search = open_faq_search(settings, encoder)
        predictions = [_faq_row(row, search.search(row["text"], row["language"], 5).to_dict()) for row in gold]
        return predictions, measure.as_dict(measure.evaluate_faq(gold, predictions))
    understanding = open_understanding(settings, encoder)
    if task == "triage":
        predictions = [
            _triage_row(row, triage.triage(as_mail(row["subject"], row["body"]), understanding).to_dict())
            for row in gold
        ]
        return predictions, measure.as_dict(measure.evaluate_triage(gold, predictions))
    predictions = []
    for row in gold:
        reading = understanding.read_chat(row["text"])
        predictions.append(
            {
                "id": row["id"],
                "intent": reading.intent,
                "confidence": round(reading.confidence, 4),
                "wants_human": reading.wants_human,
                "order_numbers": list(reading.order_numbers),
                "language": reading.language,
            }
        )
    return predictions, measure.as_dict(measure.evaluate_chat(gold, predictions))


def _faq_row(row: Mapping[str, Any], found: Row) -> Row:
    top = [{"slug": hit["slug"], "score": hit["score"]} for hit in found["top"]]
    return {"id": row["id"], "answered": found["answered"], "slug": found["slug"], "score": found["score"], "top": top}


def as_mail(subject: object, body: object) -> bytes:
    """Subject and body as the mail they were, so that they go through the same reader as every mail."""
    mail = EmailMessage()
    mail["From"] = "customer@example.org"
    mail["To"] = "shop@example.org"
    mail["Subject"] = " ".join(str(subject).split())
    mail.set_content(str(body))
    return mail.as_bytes()


def _triage_row(row: Mapping[str, Any], found: Row) -> Row:
    kept = ("motives", "wants_human", "wants_human_probability", "order_numbers", "language", "action")
    return {"id": row["id"], **{key: found[key] for key in kept}}
