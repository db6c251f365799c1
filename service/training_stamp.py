"""Whether anything that training depends on has changed since it last ran through, told without loading a model (0.1 s, not 20)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from service.corrections import origin_of, read_accepted
from service.settings import ROOT, Settings

_SOURCES = (
    ("bot/data", "*.yml"),
    ("bot", "*.yml"),
    ("bot", "requirements.lock"),
    ("faq_kb/wordings", "*.tsv"),
    ("triage/data", "*.jsonl"),
    ("triage", "newest.py"),
    ("models/data", "*"),
    ("models", "*.py"),
    ("service", "training.py"),
    ("service", "corrections.py"),
    (".", "requirements.lock"),
)


def training_stamp(settings: Settings) -> str:
    """A hash over the training text, the code that learns from it, and the settings that steer it.

    Accepted corrections are training text. Raises TrainingError when they cannot be read.
    """
    digest = hashlib.sha256(f"{settings.encoder} {settings.error_rate} {settings.intent_error_rate}".encode())
    for name, path in _files(settings):
        digest.update(f"\0{name}\0".encode())
        digest.update(path.read_bytes())
    for each in read_accepted(settings):
        learnt = (origin_of(each), each.kind, each.channel, each.subject, each.text, each.language, each.correct)
        digest.update(repr(learnt).encode())
    return digest.hexdigest()


def is_trained(settings: Settings) -> bool:
    """Whether `mark_trained` was called with everything as it is now."""
    stamp = _stamp_file(settings)
    return (
        stamp.exists() and stamp.read_text() == training_stamp(settings) and any(settings.dialogue_dir.glob("*.tar.gz"))
    )


def mark_trained(settings: Settings, stamp: str) -> None:
    """Note that training has run through on everything as it was when `stamp` was taken, before it began."""
    _stamp_file(settings).write_text(stamp)


def _stamp_file(settings: Settings) -> Path:
    return settings.artifacts_dir / "trained.sha256"


def _files(settings: Settings) -> Iterator[tuple[str, Path]]:
    for folder, pattern in _SOURCES:
        nested = folder in ("bot/data", "triage/data", "models/data")
        found = (ROOT / folder).rglob(pattern) if nested else (ROOT / folder).glob(pattern)
        for path in sorted(found):
            if path.is_file():
                yield str(path.relative_to(ROOT)), path
    for path in sorted(settings.content_dir.rglob("*.md")):
        yield f"content/{path.relative_to(settings.content_dir)}", path
