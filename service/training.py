"""What is learned from what: gathers the training text of the rooms and trains whatever is out of date."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import faq_kb
import models
import triage
from bot import TrainingFailed, train_dialogue
from desk import Channel, Correction, CorrectionKind
from models import CorpusError, Encoder, Example, MailExample
from models.motives import OTHER
from service.corrections import origin_of, read_accepted
from service.settings import ROOT, Settings
from service.training_error import TrainingError
from service.training_stamp import mark_trained, training_stamp

NLU_DIR = ROOT / "bot" / "data" / "nlu"
MAILS_DIR = ROOT / "triage" / "data"
WORDINGS_DIR = ROOT / "faq_kb" / "wordings"
OUT_OF_SCOPE_DIR = ROOT / "models" / "data" / "out_of_scope"
FROZEN_DIR = ROOT / "models" / "data" / "frozen"

NO_QUESTION = frozenset({"greet", "thanks", "goodbye", "affirm", "deny", "provide_order_number", "provide_email"})
"""Dialogue acts that no FAQ entry answers: the FAQ learns them as such."""

DIALOGUE = "dialogue"

CHAINS = (("mail", DIALOGUE), ("chat", "human"), ("faq", "language"))
"""What is trained after what: `human` listens to `chat`. Chains do not depend on each other; the longest comes first."""
LEARNT = "learnt.json"
MOST_ENTRIES = 600
"""Of an FAQ that heads are trained for: the time grows with the square of their number."""
SIDE_BY_SIDE = 2  # each takes 0.8 GB

Step = tuple[str, bool]
"""What is being done, and whether with that a model is done."""


CORRECTION = "correction"
"""The author of every example that agents have made by correcting what was misunderstood."""


@dataclass(frozen=True)
class Corrections:
    """Accepted corrections as examples. `left_out` are those that name a motive or an entry that there is none of.

    What an agent corrected is one label. Whether the customer also wanted a human they did not say, so the human-request
    detector does not learn from them.
    """

    turns: tuple[Example, ...] = ()
    mails: tuple[MailExample, ...] = ()
    questions: tuple[Example, ...] = ()
    left_out: int = 0

    @property
    def used(self) -> int:
        return len(self.turns) + len(self.mails) + len(self.questions)


def as_examples(
    corrections: Sequence[Correction], motives: Collection[str], intents: Collection[str], slugs: Collection[str]
) -> Corrections:
    """Each correction as an example for the models that its kind belongs to.

    `motives` of mails, `intents` of chat turns and `slugs` of FAQ entries are the labels that there are. The motive
    `other` is the chat's null class.
    """
    turns: list[Example] = []
    mails: list[MailExample] = []
    questions: list[Example] = []
    for each in corrections:
        origin, correct = origin_of(each), each.correct
        if each.kind == CorrectionKind.ANSWER:
            if correct is None or correct in slugs:
                questions.append(Example(each.text, correct, each.language, CORRECTION, origin))
        elif correct is None:
            continue
        elif each.channel == Channel.MAIL:
            if correct in motives:
                subject, given = each.subject or "", (correct,)
                mails.append(
                    MailExample(subject, each.text, each.language, given, False, author=CORRECTION, origin=origin)
                )
        elif correct == OTHER or correct in intents:
            turns.append(Example(each.text, None if correct == OTHER else correct, each.language, CORRECTION, origin))
    used = len(turns) + len(mails) + len(questions)
    return Corrections(tuple(turns), tuple(mails), tuple(questions), len(corrections) - used)


@dataclass(frozen=True)
class TrainingText:
    """All text that the models learn from, and the frozen sets by other authors that they are judged on."""

    content_dir: Path
    accepted: Sequence[Correction] = ()

    def corrections(self, content: faq_kb.Content) -> Corrections:
        """The accepted corrections that fit the labels there are now."""
        return as_examples(
            self.accepted,
            motives={motive for mail in self.mails for motive in mail.motives},
            intents={turn.label for turn in self.turns if turn.label is not None},
            slugs={slug for _, slug in content.entries},
        )

    @cached_property
    def turns(self) -> tuple[Example, ...]:
        return models.read_nlu(NLU_DIR)

    @cached_property
    def mails(self) -> tuple[MailExample, ...]:
        return models.read_mails(MAILS_DIR, _newest)

    @cached_property
    def wordings(self) -> tuple[Example, ...]:
        return faq_kb.read_wordings(WORDINGS_DIR)

    @cached_property
    def frozen_questions(self) -> tuple[Example, ...]:
        return models.read_questions(FROZEN_DIR / "faq.jsonl")

    @cached_property
    def frozen_turns(self) -> tuple[Example, ...]:
        return models.read_chat_turns(FROZEN_DIR / "chat.jsonl")

    @cached_property
    def frozen_mails(self) -> tuple[MailExample, ...]:
        return models.read_mail_file(FROZEN_DIR / "triage.jsonl", _newest)

    def read(self) -> None:
        """Read all files now: what is wrong with one is known before anything is trained. Raises CorpusError."""
        self.questions(faq_kb.load_content(self.content_dir))
        for _ in (self.turns, self.mails, self.frozen_questions, self.frozen_turns, self.frozen_mails):
            pass

    def about(self, slugs: Collection[str], rows: Sequence[Example]) -> list[Example]:
        """Of shipped `rows` those about the entries `slugs`, and those about nothing. What is asked about a topic that a shop
        has dropped is what no entry answers, unless entries of the shop's own may have taken its place."""
        dropped_for_good = set(slugs) <= {wording.label for wording in self.wordings}
        about = {row: row.label is None or row.label in slugs for row in rows}
        return [row if about[row] else replace(row, label=None) for row in rows if about[row] or dropped_for_good]

    def questions(self, content: faq_kb.Content) -> tuple[Example, ...]:
        """What the FAQ's heads learn from files: each wording with its entry, and what no entry answers."""
        slugs = {slug for _, slug in content.entries}
        further = self.about(slugs, self.wordings)
        acts = tuple(
            Example(turn.text, None, turn.language, turn.author) for turn in self.turns if turn.label in NO_QUESTION
        )
        return (*faq_kb.training_examples(content), *further, *models.read_out_of_scope(OUT_OF_SCOPE_DIR), *acts)


def train_all(settings: Settings, console: Console, only: str | None = None) -> None:
    """Train what is out of date, with a progress bar, and say of each model what was done and why. Raises TrainingError.

    Two chains of work go on side by side, each in a process of its own: what is learned runs on one core.
    """
    stamp = training_stamp(settings)
    chains = [chain for chain in CHAINS if only is None or only in chain]
    accepted = read_accepted(settings)
    text = TrainingText(settings.content_dir, accepted)
    try:
        text.read()
    except CorpusError as error:
        raise TrainingError(str(error)) from error
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    lines: list[str] = []
    processes = multiprocessing.get_context("spawn")  # a forked process would share the threads of numeric libraries
    with (
        processes.Manager() as manager,
        ProcessPoolExecutor(min(SIDE_BY_SIDE, os.cpu_count() or 1), processes, _end_on_interrupt) as workers,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        bar = progress.add_task("training", total=sum(len(chain) for chain in chains) if only is None else 1)
        steps = manager.Queue()
        work = [workers.submit(_train_chain, settings, accepted, chain, only, steps) for chain in chains]
        while not all(each.done() for each in work) or not steps.empty():
            with contextlib.suppress(queue.Empty):
                step, done = steps.get(timeout=0.2)
                progress.update(bar, description=step, advance=int(done))
        for each in work:
            lines += each.result()
    if only is None:
        mark_trained(settings, stamp)
    if accepted:
        lines.append(_corrections_line(text.corrections(faq_kb.load_content(settings.content_dir))))
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _end_on_interrupt() -> None:
    """Ctrl-C ends a worker without a traceback of its own: whoever pressed it is told by the process that they started."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _train_chain(
    settings: Settings, accepted: Sequence[Correction], chain: Sequence[str], only: str | None, steps: queue.Queue[Step]
) -> list[str]:
    """Train the models of one chain in their order; what was done with each, a line each. `steps` is told on the way."""
    encoder = models.load_encoder(settings.encoder, settings.vectors_dir)
    tasks = _tasks(settings, TrainingText(settings.content_dir, accepted), encoder)
    lines = []
    for name in chain:
        if only in (None, name):
            try:
                lines.append(tasks[name](lambda step: steps.put((step, False))))
            except (models.ArtifactError, TrainingFailed) as error:
                raise TrainingError(str(error)) from error
            except OSError as error:
                where = settings.artifacts_dir
                raise TrainingError(f'"{name}" could not be trained: {error}; see to {where}, train again') from error
            steps.put((name, True))
    return lines


def train_faq(settings: Settings, encoder: Encoder, content: faq_kb.Content) -> models.Trained:
    """Train the FAQ's heads on this content, if they are not already."""
    return _learn_faq(settings, TrainingText(settings.content_dir, read_accepted(settings)), encoder, content)


def learnt_texts(settings: Settings) -> frozenset[str] | None:
    """The texts that the served FAQ heads were trained on; None when nobody wrote them down."""
    file = models.current_folder(settings.artifacts_dir, "faq") / LEARNT
    return frozenset(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def _learn_faq(
    settings: Settings,
    text: TrainingText,
    encoder: Encoder,
    content: faq_kb.Content,
    progress: Callable[[str], None] = lambda step: None,
) -> models.Trained:
    questions = (*text.questions(content), *text.corrections(content).questions)
    trained = models.train_faq(
        questions,
        _known_questions(text, content),
        encoder,
        settings.artifacts_dir,
        progress,
        target_error=settings.error_rate,
    )
    # What the heads have not learnt the index answers: after a restart nobody else knows which texts those are.
    file = settings.artifacts_dir / "faq" / trained.version / LEARNT
    if file.parent.is_dir() and not file.exists():
        texts = sorted({row.text for row in questions if row.label is not None})
        file.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    return trained


def too_many_entries(content: faq_kb.Content) -> bool:
    """Whether an FAQ is searched by its wordings alone, without trained heads."""
    return len({slug for _, slug in content.entries}) > MOST_ENTRIES


def roll_back(settings: Settings, name: str) -> str:
    """Serve the version of `name` that was served before; its version. Raises TrainingError."""
    try:
        return models.rollback(settings.artifacts_dir, name)
    except models.ArtifactError as error:
        raise TrainingError(str(error)) from error


_Task = Callable[[Callable[[str], None]], str]


def _tasks(settings: Settings, text: TrainingText, encoder: Encoder) -> dict[str, _Task]:
    where = settings.artifacts_dir

    def faq(progress: Callable[[str], None]) -> str:
        content = faq_kb.load_content(settings.content_dir)
        if too_many_entries(content):
            return f"{'faq':9} skipped (more than {MOST_ENTRIES} entries: questions are compared with their wordings alone)"
        return _line(_learn_faq(settings, text, encoder, content, progress))

    def chat(progress: Callable[[str], None]) -> str:
        content = faq_kb.load_content(settings.content_dir)
        turns = (*text.turns, *text.corrections(content).turns)
        return _line(
            models.train_chat(
                turns, text.frozen_turns, encoder, where, progress, target_error=settings.intent_error_rate
            )
        )

    def mail(progress: Callable[[str], None]) -> str:
        corrected = text.corrections(faq_kb.load_content(settings.content_dir))
        mails = (*text.mails, *corrected.mails)
        motives = {motive for each in mails for motive in each.motives}
        turns = [turn for turn in (*text.turns, *corrected.turns) if turn.label in motives]
        return _line(
            models.train_mail(
                mails, turns, text.frozen_mails, encoder, where, progress, target_error=settings.error_rate
            )
        )

    def human(progress: Callable[[str], None]) -> str:
        turns = (*text.turns, *models.read_out_of_scope(OUT_OF_SCOPE_DIR))  # small talk asks for nobody
        return _line(
            models.train_human(turns, text.mails, text.frozen_turns, text.frozen_mails, encoder, where, progress)
        )

    def language(progress: Callable[[str], None]) -> str:
        content = faq_kb.load_content(settings.content_dir)
        known = [*text.questions(content), *text.turns, *_mail_texts(text.mails)]
        frozen = [*text.frozen_questions, *text.frozen_turns, *_mail_texts(text.frozen_mails)]
        return _line(models.train_language(known, frozen, where, progress))

    def dialogue(progress: Callable[[str], None]) -> str:
        progress("dialogue: Rasa")
        before = _written_at(settings.dialogue_dir)
        train_dialogue(settings.rasa_python, settings.dialogue_dir)
        return f"{DIALOGUE:9} {'up to date' if _written_at(settings.dialogue_dir) == before else 'trained'}"

    return {"faq": faq, "chat": chat, "mail": mail, "human": human, "language": language, DIALOGUE: dialogue}


def _newest(body: str) -> str:
    return triage.split_newest(body).text


def _known_questions(text: TrainingText, content: faq_kb.Content) -> Sequence[Example]:
    """The frozen questions, those about a topic that the shop has dropped as questions that no entry answers."""
    slugs = {slug for _, slug in content.entries}
    return text.about(slugs, text.frozen_questions)


def _mail_texts(mails: Sequence[MailExample]) -> list[Example]:
    return [Example(f"{mail.subject}\n{mail.body}", None, mail.language, mail.author) for mail in mails]


def _line(trained: models.Trained) -> str:
    figures = "  ".join(f"{name} {value:.3f}" for name, value in trained.metrics.items())
    return f"{trained.name:9} {trained.status} ({trained.reason})  {figures}"


def _corrections_line(corrections: Corrections) -> str:
    parts = f"{len(corrections.mails)} mails, {len(corrections.turns)} chat messages, {len(corrections.questions)} questions"
    left_out = f"; {corrections.left_out} left out: no such motive or entry any more" if corrections.left_out else ""
    return f"{'corrections':11} {corrections.used} used ({parts}){left_out}"


def _written_at(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.glob("*.tar.gz")), default=0.0)
