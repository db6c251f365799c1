"""Training: examples in, a version on disk out, served only if it is not worse on the frozen set than the one before.

Each artefact (`faq`, `chat`, `mail`, `human`, `language`) has one function. All do the same: nothing when the newest
version was made from the same data by the same method; otherwise train, measure, write the card, compare, promote.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models import ensemble as heads
from models import human, language, motives
from models.artifacts import (
    current_folder,
    current_version,
    data_hash,
    next_version,
    promote,
    prune,
    read_card,
    versions,
)
from models.cards import draw_confusion, draw_reliability, write_card
from models.corpus import OUT_OF_SCOPE, TALK_TO_HUMAN, Example, MailExample
from models.encoder import Encoder
from models.ensemble import HeadEnsemble
from models.entities import without_entities
from models.evaluate import accuracy, human_figures, macro_f1
from models.human import HumanRequestDetector
from models.language import LanguageHead, LanguageReader
from models.motives import MotiveReader
from models.risk import TARGET_ERROR, Threshold, choose_threshold
from models.understanding import BY_ERROR_RATE, THRESHOLDS

Progress = Callable[[str], None]
Metrics = dict[str, float]

POLICY_ERROR_RATES = (0.005, 0.01, 0.02, 0.05, 0.1)
"""The error rates that a mail policy can ask for; a threshold of the mail artefact is kept for each."""
SERVED = "served"
UNREADABLE = (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile)
"""What loading a version raises that another encoder or method has made, or that is damaged."""
RECALL_WEIGHT = 3.0  # beta of the F-score that compares two versions of the human-request detector
TOLERANCE = 0.005  # a frozen set of a few hundred texts cannot tell half a per cent from chance


@dataclass(frozen=True)
class Trained:
    """What a training run did. `status`: "up to date" (nothing to do), "served", or "kept" (worse, so not served)."""

    name: str
    version: str
    status: Literal["up to date", "served", "kept"]
    reason: str
    metrics: Mapping[str, float]


def silent(step: str) -> None:
    """A `progress` that tells nobody."""


def train_faq(
    examples: Sequence[Example],
    frozen: Sequence[Example],
    encoder: Encoder,
    artifacts: Path,
    progress: Progress = silent,
    target_error: float = TARGET_ERROR,
) -> Trained:
    """FAQ topics: examples are all wordings (label = slug) and questions outside the FAQ (label None)."""
    return _train_ensemble("faq", examples, frozen, encoder, artifacts, progress, target_error, str)


def train_chat(
    examples: Sequence[Example],
    frozen: Sequence[Example],
    encoder: Encoder,
    artifacts: Path,
    progress: Progress = silent,
    target_error: float = TARGET_ERROR,
) -> Trained:
    """Chat intents: examples are the NLU utterances (label None: out of scope)."""
    return _train_ensemble("chat", examples, frozen, encoder, artifacts, progress, target_error, without_entities)


def train_mail(
    mails: Sequence[MailExample],
    turns: Sequence[Example],
    frozen: Sequence[MailExample],
    encoder: Encoder,
    artifacts: Path,
    progress: Progress = silent,
    target_error: float = TARGET_ERROR,
) -> Trained:
    """Mail motives: whole mails, and the chat utterances whose intent is a motive."""
    digest = data_hash(
        [heads.METHOD, motives.METHOD, encoder.version, target_error, *mails, "turns", *turns, "frozen", *frozen]
    )

    def metrics(reader: MotiveReader, known: Sequence[MailExample]) -> Metrics:
        found = reader.read([(mail.subject, mail.body) for mail in known])
        hits = sum(len(set(mail.motives) & set(read.predicted)) for mail, read in zip(known, found, strict=True))
        total = sum(len(set(mail.motives)) + len(read.predicted) for mail, read in zip(known, found, strict=True))
        truth, guesses = [mail.motives[0] for mail in known], [read.primary for read in found]
        return {
            "accuracy": accuracy(truth, guesses),
            "macro_f1": macro_f1(truth, guesses),
            "set_f1": 2 * hits / total if total else 0.0,
        }

    def known_to(reader: MotiveReader) -> set[str]:
        return set(reader.labels)

    return _train(
        _Task(
            name="mail",
            digest=digest,
            description=_describe_mails(mails) | {"chat_turns": len(turns)},
            fit=lambda: MotiveReader.fit(encoder, mails, turns, frozen, _named(progress, "mail")),
            load=lambda folder: MotiveReader.load(folder, encoder),
            frozen=frozen,
            metrics=metrics,
            comparable=lambda old, new: [mail for mail in frozen if set(mail.motives) <= known_to(old) & known_to(new)],
            quality=lambda found: (found["accuracy"] + found["set_f1"]) / 2,
            report=lambda reader, folder: _report_mail(reader, frozen, folder, target_error),
            encoder=encoder,
        ),
        artifacts,
        progress,
    )


def train_human(
    turns: Sequence[Example],
    mails: Sequence[MailExample],
    frozen_turns: Sequence[Example],
    frozen_mails: Sequence[MailExample],
    encoder: Encoder,
    artifacts: Path,
    progress: Progress = silent,
) -> Trained:
    """The human request: all chat utterances (intent `talk_to_human` against the others) and all mails.

    The served `chat` version has a say in it, so train that first. Raises ArtifactError when there is none.
    """
    chat_folder = current_folder(artifacts, "chat")
    intents = HeadEnsemble.load(chat_folder, encoder)
    lexicon = [file.read_text(encoding="utf-8") for file in sorted(human.LEXICON.glob("*.yml"))]
    digest = data_hash(
        [
            heads.METHOD,
            human.METHOD,
            encoder.version,
            *lexicon,
            *turns,
            "mails",
            *mails,
            "frozen",
            *frozen_turns,
            *frozen_mails,
        ]
    )

    def metrics(detector: HumanRequestDetector, known: Sequence[Example | MailExample]) -> Metrics:
        turns = [turn for turn in known if isinstance(turn, Example)]
        post = [mail for mail in known if isinstance(mail, MailExample)]
        in_chat, in_mail = _human_scores(detector, intents, turns, post)
        chat = human_figures(
            [turn.label == TALK_TO_HUMAN for turn in turns], (in_chat >= detector.chat_threshold).tolist()
        )
        mail = human_figures([mail.wants_human for mail in post], (in_mail >= detector.mail_threshold).tolist())
        return {
            "chat_recall": chat.recall,
            "chat_precision": chat.precision,
            "mail_recall": mail.recall,
            "mail_precision": mail.precision,
        }

    def quality(found: Metrics) -> float:
        beta = RECALL_WEIGHT**2
        scores = [
            (1 + beta)
            * found[f"{place}_precision"]
            * found[f"{place}_recall"]
            / max(beta * found[f"{place}_precision"] + found[f"{place}_recall"], 1e-9)
            for place in ("chat", "mail")
        ]
        return sum(scores) / len(scores)

    frozen: list[Example | MailExample] = [*frozen_turns, *frozen_mails]
    return _train(
        _Task(
            name="human",
            digest=digest,
            description=_describe(turns) | {"mails": len(mails)},
            fit=lambda: HumanRequestDetector.fit(
                encoder, turns, mails, intents, frozen_turns, frozen_mails, _named(progress, "human")
            ),
            load=lambda folder: HumanRequestDetector.load(folder, encoder),
            frozen=frozen,
            metrics=metrics,
            comparable=lambda old, new: frozen,
            quality=quality,
            report=lambda detector, folder: _report_human(detector, intents, frozen_turns, frozen_mails, folder),
            encoder=encoder,
        ),
        artifacts,
        progress,
    )


def train_language(
    examples: Sequence[Example],
    frozen: Sequence[Example],
    artifacts: Path,
    progress: Progress = silent,
) -> Trained:
    """The language head: any text of the shop whose language is known. It needs no encoder."""
    digest = data_hash([language.METHOD, *((row.text, row.language) for row in (*examples, *frozen))])

    def metrics(head: LanguageHead, known: Sequence[Example]) -> Metrics:
        reader = LanguageReader(head)
        guesses = [reader.read(row.text)[0] for row in known]
        return {"accuracy": accuracy([row.language for row in known], guesses)}

    def report(head: LanguageHead, folder: Path) -> dict[str, Any]:
        reader = LanguageReader(head)
        found = [reader.read(row.text) for row in frozen]
        return _pictures(
            folder,
            [row.language for row in frozen],
            [best for best, _ in found],
            [share for _, share in found],
            "language",
        )

    return _train(
        _Task(
            name="language",
            digest=digest,
            description={"examples": len(examples), "languages": dict(Counter(row.language for row in examples))},
            fit=lambda: LanguageHead.fit(examples),
            load=LanguageHead.load,
            frozen=frozen,
            metrics=metrics,
            comparable=lambda old, new: frozen,
            quality=lambda found: found["accuracy"],
            report=report,
            encoder=None,
        ),
        artifacts,
        progress,
    )


@dataclass(frozen=True)
class _Task:
    """One artefact's ways: the frame in `_train` is the same for all."""

    name: str
    digest: str
    description: Mapping[str, Any]
    fit: Callable[[], Any]
    load: Callable[[Path], Any]
    frozen: Sequence[Any]
    metrics: Callable[[Any, Sequence[Any]], Metrics]
    comparable: Callable[[Any, Any], Sequence[Any]]
    quality: Callable[[Metrics], float]
    report: Callable[[Any, Path], dict[str, Any]]
    encoder: Encoder | None


def _train(task: _Task, artifacts: Path, progress: Progress) -> Trained:
    done = _done_before(task, artifacts)
    if done is not None:
        return done
    model = task.fit()
    version = next_version(artifacts, task.name, task.digest)
    folder = artifacts / task.name / version
    folder.mkdir(parents=True)
    progress(f"{task.name}: card")
    model.save(folder)
    found = task.metrics(model, task.frozen) if task.frozen else {}
    sections = task.report(model, folder)
    worse = _worse_than_served(task, model, artifacts)
    card = {
        "name": task.name,
        "version": version,
        "encoder": task.encoder.version if task.encoder else "none",
        "data_hash": task.digest,
        "frozen_texts": len(task.frozen),
        "verdict": f"kept, not served: {worse}" if worse else SERVED,
        "metrics": found,
        "training_text": dict(task.description),
        **sections,
    }
    write_card(folder, card)
    if not worse:
        promote(artifacts, task.name, version)
    prune(artifacts, task.name)
    if worse:
        return Trained(task.name, version, "kept", worse, found)
    return Trained(
        task.name, version, "served", "not worse on the frozen set" if task.frozen else "no frozen set", found
    )


def _done_before(task: _Task, artifacts: Path) -> Trained | None:
    """What came of the same training before; None when it is to be done (again).

    Cut short before it was served, it is served now. What cannot be read any more is trained anew.
    """
    known = versions(artifacts, task.name)
    if not known or not known[-1].endswith(task.digest):
        return None
    version = known[-1]
    try:
        card = read_card(artifacts / task.name / version)
        task.load(artifacts / task.name / version)
    except UNREADABLE:
        return None
    if card["verdict"] != SERVED:
        return Trained(task.name, version, "kept", f"as before: {card['verdict']}", card["metrics"])
    if current_version(artifacts, task.name) is None:
        promote(artifacts, task.name, version)
    return Trained(task.name, version, "up to date", "same data, same method", card["metrics"])


def _worse_than_served(task: _Task, model: Any, artifacts: Path) -> str:
    """Why the new model must not be served, or "" when it may. Both are measured on the same texts, today's frozen set."""
    served = current_version(artifacts, task.name)
    if served is None or not task.frozen:
        return ""
    try:
        old = task.load(artifacts / task.name / served)
    except UNREADABLE:  # of another encoder or method, damaged, or gone: there is nothing left to be worse than
        return ""
    common = task.comparable(old, model)
    if not common:
        return ""
    before, after = (task.quality(task.metrics(reader, common)) for reader in (old, model))
    if after >= before - TOLERANCE:
        return ""
    return f"{after:.4f} on {len(common)} frozen texts, the served version {served} has {before:.4f}"


def _train_ensemble(
    name: str,
    examples: Sequence[Example],
    frozen: Sequence[Example],
    encoder: Encoder,
    artifacts: Path,
    progress: Progress,
    target_error: float,
    prepare: Callable[[str], str],
) -> Trained:
    digest = data_hash([heads.METHOD, encoder.version, target_error, *examples, "frozen", *frozen])

    def prepared(rows: Sequence[Example]) -> list[Example]:
        return [Example(prepare(row.text), row.label, row.language, row.author) for row in rows]

    def metrics(model: HeadEnsemble, known: Sequence[Example]) -> Metrics:
        probabilities = model.predict([prepare(row.text) for row in known])
        names = (*model.labels, OUT_OF_SCOPE)
        truth = [row.label or OUT_OF_SCOPE for row in known]
        guesses = [names[column] for column in probabilities.argmax(axis=1)]
        first = [model.labels[column] for column in probabilities[:, :-1].argmax(axis=1)]
        inside = [(row.label, guess) for row, guess in zip(known, first, strict=True) if row.label is not None]
        return {
            "accuracy": accuracy(truth, guesses),
            "macro_f1": macro_f1(truth, guesses),
            "hit_at_1": accuracy([str(label) for label, _ in inside], [guess for _, guess in inside]),
        }

    return _train(
        _Task(
            name=name,
            digest=digest,
            description=_describe(examples),
            fit=lambda: HeadEnsemble.fit(encoder, prepared(examples), prepared(frozen), _named(progress, name)),
            load=lambda folder: HeadEnsemble.load(folder, encoder),
            frozen=frozen,
            metrics=metrics,
            comparable=lambda old, new: [
                row for row in frozen if row.label is None or row.label in set(old.labels) & set(new.labels)
            ],
            quality=lambda found: found["accuracy"],
            report=lambda model, folder: _report_ensemble(model, folder, name, target_error),
            encoder=encoder,
        ),
        artifacts,
        progress,
    )


def _report_ensemble(model: HeadEnsemble, folder: Path, name: str, target_error: float) -> dict[str, Any]:
    calibration = model.calibration
    assert calibration is not None, "a model is reported right after it was fitted"
    best = calibration.probabilities[:, :-1].argmax(axis=1)
    scores = calibration.probabilities[np.arange(len(best)), best]
    guesses = [model.labels[column] for column in best]
    right = np.array([guess == label for guess, label in zip(guesses, calibration.labels, strict=True)], dtype=bool)
    names = (*model.labels, OUT_OF_SCOPE)
    read = [names[column] for column in calibration.probabilities.argmax(axis=1)]
    truth = [label or OUT_OF_SCOPE for label in calibration.labels]
    return {
        "threshold": _write_threshold(folder, choose_threshold(scores, right, target_error), calibration.source),
        "head_weights": dict(zip(model.head_names, model.weights, strict=True)),
    } | _pictures(folder, truth, read, calibration.probabilities.max(axis=1), name)


def _report_mail(
    reader: MotiveReader, frozen: Sequence[MailExample], folder: Path, target_error: float
) -> dict[str, Any]:
    found = reader.read([(mail.subject, mail.body) for mail in frozen])
    # A primary motive that is one of the mail's others sends it to a desk that can answer it: that is not a mistake.
    right = np.array([read.primary in mail.motives for read, mail in zip(found, frozen, strict=True)], dtype=bool)
    scores = np.array([dict(read.ranking)[read.primary] for read in found])
    return {
        "threshold": _write_threshold(
            folder,
            choose_threshold(scores, right, target_error),
            "held-out author",
            {rate: choose_threshold(scores, right, rate).value for rate in POLICY_ERROR_RATES},
        ),
        "several_motives": vars(reader.presence) | {"further_threshold": reader.further_threshold},
    } | _pictures(folder, [mail.motives[0] for mail in frozen], [read.primary for read in found], scores, "mail", right)


def _report_human(
    detector: HumanRequestDetector,
    intents: HeadEnsemble,
    turns: Sequence[Example],
    mails: Sequence[MailExample],
    folder: Path,
) -> dict[str, Any]:
    truth = [turn.label == TALK_TO_HUMAN for turn in turns] + [mail.wants_human for mail in mails]
    in_chat, in_mail = _human_scores(detector, intents, turns, mails)
    guesses = [*(in_chat >= detector.chat_threshold), *(in_mail >= detector.mail_threshold)]
    names = {True: "human", False: "no human"}
    return {
        "thresholds": {
            "chat": detector.chat_threshold,
            "mail": detector.mail_threshold,
            "rule": f"highest that misses at most {human.MISSED:.0%} of the requests in the frozen set",
        },
        "chat_evidence": vars(detector.chat),
        "mail_evidence": vars(detector.mail),
    } | _pictures(
        folder,
        [names[asked] for asked in truth],
        [names[bool(guess)] for guess in guesses],
        [*in_chat, *in_mail],
        "human",
        np.array(truth, dtype=bool),
    )


def _human_scores(
    detector: HumanRequestDetector, intents: HeadEnsemble, turns: Sequence[Example], mails: Sequence[MailExample]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What the detector says about chat turns and about mails."""
    texts = [turn.text for turn in turns]
    in_chat = detector.chat_probabilities(texts, human.talk_probabilities(intents, texts))
    return in_chat, detector.mail_probabilities([(mail.subject, mail.body) for mail in mails])


def _write_threshold(
    folder: Path, threshold: Threshold, source: str, by_error_rate: Mapping[float, float] | None = None
) -> dict[str, Any]:
    written = {**asdict(threshold), "source": source} | ({BY_ERROR_RATE: by_error_rate} if by_error_rate else {})
    (folder / THRESHOLDS).write_text(json.dumps(written, indent=1), encoding="utf-8")
    return {
        **asdict(threshold),
        "source": source,
        "method": "smallest threshold whose median-unbiased share of wrong answers is within the target; upper bound: "
        "Clopper-Pearson; "
        "`certified` by fixed-sequence testing (Learn-then-Test, arXiv:2110.01052)",
    }


def _pictures(
    folder: Path,
    truth: Sequence[str],
    guesses: Sequence[str],
    confidence: npt.ArrayLike,
    title: str,
    right: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Both pictures; `right`: what the stated probability is about, by default that truth and guess are equal."""
    if not truth:
        return {}
    draw_confusion(folder / "confusion.png", truth, guesses, title)
    happened = np.array([a == b for a, b in zip(truth, guesses, strict=True)]) if right is None else right
    error = draw_reliability(folder / "reliability.png", np.asarray(confidence, dtype=np.float64), happened, title)
    return {"expected_calibration_error": error}


def _describe(examples: Sequence[Example]) -> dict[str, Any]:
    return {
        "examples": len(examples),
        "labels": len({row.label for row in examples if row.label is not None}),
        "null_class": sum(row.label is None for row in examples),
        "languages": dict(sorted(Counter(row.language for row in examples).items())),
        "authors": dict(sorted(Counter(row.author or "unnamed" for row in examples).items())),
    } | _origins(examples)


def _describe_mails(mails: Sequence[MailExample]) -> dict[str, Any]:
    return {
        "mails": len(mails),
        "with_several_motives": sum(len(mail.motives) > 1 for mail in mails),
        "languages": dict(sorted(Counter(mail.language for mail in mails).items())),
        "authors": dict(sorted(Counter(mail.author or "unnamed" for mail in mails).items())),
    } | _origins(mails)


def _origins(examples: Sequence[Example | MailExample]) -> dict[str, Any]:
    """Where the texts that stand in no file come from: whoever must take one out again finds the versions that hold it."""
    origins = sorted(row.origin for row in examples if row.origin)
    return {"origins": origins} if origins else {}


def _named(progress: Progress, name: str) -> Progress:
    return lambda step: progress(f"{name}: {step}")
