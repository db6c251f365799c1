"""How well one author's text is read by what was learned from all others: the understanding, cross-validated over authors.

Run: `.venv/bin/python -m tests.bench.authors [faq|chat|mail|human ...]` (15, 5, 20 and 5 minutes): the frozen sets, and some
authors of each kind. Each head alone, then their average, so that the table compares the methods on the same texts. The
weights of the average are fitted on the texts of another author than the one judged: the frozen sets, or, when those are
judged, one of the learned-from authors. For human requests all judged authors of chat and mail are held out together.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import f1_score, roc_auc_score

import faq_kb
import models
from models import TALK_TO_HUMAN, Example, HumanRequestDetector
from models.ensemble import HeadEnsemble
from models.entities import without_entities
from models.evaluate import human_figures
from models.human import talk_probabilities
from models.motives import MotiveReader
from service.settings import ROOT
from service.training import TrainingText

FAQ_AUTHORS = ("fr-1", "p4", "p7", "q1", "q2")
CHAT_AUTHORS = ("c14", "c15", "c16", "c17", "c18")
MAIL_AUTHORS = ("m13", "m15", "n5", "n8", "n9")

CONTENT = ROOT / "faq_kb" / "content"


@dataclass(frozen=True)
class Fold:
    """One author's texts, judged by what was learned from all others."""

    author: str
    learned: Sequence[Example]
    judged: Sequence[Example]
    calibration: Sequence[Example]


def folds(learned: Sequence[Example], frozen: Sequence[Example], authors: Sequence[str]) -> list[Fold]:
    found = [Fold("h1 to h7 (frozen)", learned, frozen, [row for row in learned if row.author == authors[0]])]
    for author in authors:
        judged = [row for row in learned if row.author == author]
        found.append(Fold(author, [row for row in learned if row.author != author], judged, frozen))
    return found


def judge(table: Table, fold: Fold, encoder: models.Encoder) -> None:
    """One row a head and one for their average: accuracy, macro-F1, and how well answerable text is told from the rest."""
    started = time.process_time()
    learned = fold.learned
    if fold.calibration and fold.calibration[0] in learned:
        held = set(map(id, fold.calibration))
        learned = [row for row in learned if id(row) not in held]
    ensemble = HeadEnsemble.fit(encoder, learned, fold.calibration)
    seconds = time.process_time() - started
    truth = np.array([row.label or "" for row in fold.judged])
    answerable = truth != ""
    for name, probabilities in ensemble.opinions([row.text for row in fold.judged]):
        best = np.array(ensemble.labels)[probabilities[:, :-1].argmax(axis=1)]
        confidence = probabilities[:, :-1].max(axis=1)
        separation = roc_auc_score(answerable, confidence) if 0 < answerable.sum() < len(truth) else float("nan")
        table.add_row(
            fold.author,
            name,
            str(int(answerable.sum())),
            f"{(best == truth)[answerable].mean():.1%}",
            f"{f1_score(truth[answerable], best[answerable], average='macro', labels=sorted(set(truth[answerable]))):.1%}",
            "-" if np.isnan(separation) else f"{separation:.3f}",
            f"{seconds:.0f}" if name == "average" else "",
        )


def judge_mail(table: Table, text: TrainingText, encoder: models.Encoder) -> None:
    """Whole mails: the primary motive, and the set of motives."""
    for author in MAIL_AUTHORS:
        learned = [mail for mail in text.mails if mail.author != author]
        judged = [mail for mail in text.mails if mail.author == author]
        turns = [turn for turn in text.turns if turn.author != author]
        started = time.process_time()
        reader = MotiveReader.fit(encoder, learned, turns, text.frozen_mails)
        seconds = time.process_time() - started
        found = reader.read([(mail.subject, mail.body) for mail in judged])
        truth, guesses = [mail.motives[0] for mail in judged], [each.primary for each in found]
        hits = sum(len(set(each.predicted) & set(mail.motives)) for each, mail in zip(found, judged, strict=True))
        total = sum(len(each.predicted) for each in found) + sum(len(mail.motives) for mail in judged)
        table.add_row(
            author,
            str(len(judged)),
            f"{np.mean([a == b for a, b in zip(truth, guesses, strict=True)]):.1%}",
            f"{f1_score(truth, guesses, average='macro'):.1%}",
            f"{2 * hits / total:.1%}",
            f"{seconds:.0f}",
        )


def judge_human(table: Table, text: TrainingText, encoder: models.Encoder) -> None:
    """The product's own decision, detector and intents learned from none of the judged authors."""
    turns = [turn for turn in text.turns if turn.author not in CHAT_AUTHORS]
    mails = [mail for mail in text.mails if mail.author not in MAIL_AUTHORS]
    intents = HeadEnsemble.fit(encoder, _without_entities(turns), _without_entities(text.frozen_turns))
    detector = HumanRequestDetector.fit(encoder, turns, mails, intents, text.frozen_turns, text.frozen_mails)
    for author in CHAT_AUTHORS:
        said = [turn for turn in text.turns if turn.author == author]
        lines = [turn.text for turn in said]
        found = detector.chat_probabilities(lines, talk_probabilities(intents, lines)) >= detector.chat_threshold
        _add_human(table, author, [turn.label == TALK_TO_HUMAN for turn in said], found.tolist())
    for author in MAIL_AUTHORS:
        post = [mail for mail in text.mails if mail.author == author]
        found = detector.mail_probabilities([(mail.subject, mail.body) for mail in post]) >= detector.mail_threshold
        _add_human(table, author, [mail.wants_human for mail in post], found.tolist())


def _add_human(table: Table, author: str, asked: Sequence[bool], found: Sequence[bool]) -> None:
    figures = human_figures(asked, found)
    table.add_row(author, str(len(asked)), str(sum(asked)), f"{figures.recall:.1%}", f"{figures.precision:.1%}")


def _without_entities(turns: Sequence[Example]) -> list[Example]:
    return [replace(turn, text=without_entities(turn.text)) for turn in turns]


def main(wanted: Sequence[str]) -> None:
    console = Console(width=120)
    encoder = models.load_encoder()
    text = TrainingText(CONTENT)
    columns = ("judged author", "method", "texts", "right first", "macro-F1", "AUROC in/out", "CPU s")
    if "faq" in wanted:
        table = Table(*columns, title="FAQ entries")
        questions = text.questions(faq_kb.load_content(CONTENT))
        for fold in folds(questions, text.frozen_questions, FAQ_AUTHORS):
            judge(table, fold, encoder)
        console.print(table)
    if "chat" in wanted:
        table = Table(*columns, title="Chat intents")
        for fold in folds(text.turns, text.frozen_turns, CHAT_AUTHORS):
            judge(table, fold, encoder)
        console.print(table)
    if "mail" in wanted:
        table = Table(
            "judged author", "mails", "primary right", "macro-F1", "set F1", "CPU s", title="Motives of mails"
        )
        judge_mail(table, text, encoder)
        console.print(table)
    if "human" in wanted:
        table = Table("judged author", "messages", "asked for", "recall", "precision", title="Human requests")
        judge_human(table, text, encoder)
        console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:] or ["faq", "chat", "mail", "human"])
