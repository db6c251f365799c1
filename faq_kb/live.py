"""The FAQ in service: always one whole, consistent state; a saved file replaces it within two seconds."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import watchfiles

from faq_kb.content import Content, Mistake, load_content
from faq_kb.search import FaqResult, FaqSearch, Heads, Space, TextEncoder, Thresholds

log = logging.getLogger(__name__)

Stamps = set[tuple[Path, int, int]]

SWEEP_SECONDS = 1.0
QUIET_SECONDS = 5.0  # training starts when an editor has stopped saving for that long


@dataclass(frozen=True)
class TrainedHeads:
    """New heads and the thresholds that were calibrated for them. `heads` None: there are none that may be believed, and the
    index speaks for every entry."""

    heads: Heads | None
    thresholds: Thresholds


Train = Callable[[Content], TrainedHeads | None]


def watch(directory: Path, on_change: Callable[[], None], stop: threading.Event) -> None:
    """Call `on_change` once, and whenever a Markdown file below `directory` is written, moved or removed, until `stop` is set.

    What `on_change` raises is logged and watching goes on.
    """
    seen: Stamps | None = None

    def look(told: bool) -> None:
        nonlocal seen
        stamps = _stamps(directory)
        if told or stamps != seen:
            seen = stamps
            try:
                on_change()
            except Exception:
                log.exception("the FAQ could not be read again; what was there before is still served")

    while not stop.is_set():
        look(told=False)
        if not directory.is_dir():
            stop.wait(SWEEP_SECONDS)
            continue
        try:
            for changes in watchfiles.watch(
                directory,
                watch_filter=lambda _, path: path.endswith(".md"),
                debounce=400,
                step=50,
                stop_event=stop,
                rust_timeout=int(SWEEP_SECONDS * 1000),
                yield_on_timeout=True,
                raise_interrupt=False,
            ):
                # The kernel's word may be missing (a network mount, a folder that was replaced): look for oneself too.
                look(told=bool(changes))
        except OSError as error:  # the folder was removed a moment ago, or the kernel watches no more files
            log.warning(
                "%s cannot be watched (%s); it is looked at every %g s instead", directory, error, SWEEP_SECONDS
            )
            stop.wait(SWEEP_SECONDS)


def _stamps(directory: Path) -> Stamps:
    """Path, time and size of every content file."""
    found = set()
    with contextlib.suppress(OSError):  # removed while it was looked at: the next look will tell
        for file in directory.glob("*/*.md"):
            status = file.stat()
            found.add((file, status.st_mtime_ns, status.st_size))
    return found


class FaqLive:
    """Search that follows the content folder. `start` begins to follow it; `stop` ends that.

    train: called in a thread of its own, with content whose wordings the heads have not learnt; returns the heads to
    serve, or None to keep the present ones. on_mistakes: called with all mistakes whenever they change.
    `learnt`: the texts that `heads` were trained on; None: those of the content as it is now. `unanswerable`: questions that
    no entry answers.
    """

    def __init__(
        self,
        directory: Path,
        encoder: TextEncoder,
        heads: Heads | None = None,
        thresholds: Thresholds | None = None,
        *,
        learnt: Iterable[str] | None = None,
        unanswerable: Sequence[str] = (),
        train: Train | None = None,
        on_mistakes: Callable[[Sequence[Mistake]], None] | None = None,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        self._directory = directory
        self._encoder = encoder
        self._unanswerable = unanswerable
        self._train = train
        self._on_mistakes = on_mistakes
        self._quiet_seconds = quiet_seconds
        # Readers take `_search` as it is, without a lock; only one writer at a time replaces it.
        self._writing = threading.RLock()
        self._stopping = threading.Event()
        self._untrained = threading.Event()
        self._threads: list[threading.Thread] = []
        self._mistakes: tuple[Mistake, ...] = ()
        content = load_content(directory)
        known = [text for _, text in _texts(content)] if learnt is None else learnt
        space = Space.of(encoder, heads, known, unanswerable)
        self._search = FaqSearch.within(space, content, thresholds or Thresholds())
        self._report(content)

    def search(self, text: str, language: str = "fr", k: int = 3) -> FaqResult:
        """As `FaqSearch.search`, on the content of this moment."""
        return self._search.search(text, language, k)

    @property
    def content(self) -> Content:
        return self._search.content

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """What keeps files on disk from being served as they stand; empty when all is well."""
        return self._mistakes

    @property
    def entry_count(self) -> int:
        return len(self._search.content.entries)

    def reload(self) -> None:
        """Read the folder again and serve what it holds. Files with mistakes keep their last good version."""
        with self._writing:
            current = self._search
            content = load_content(self._directory, current.content)
            if content.digests != current.content.digests:
                self._search = FaqSearch.within(current.space, content, current.thresholds)
                log.info("FAQ read again: %d entries, %d mistakes", len(content.entries), len(content.mistakes))
            self._report(content)
            if _texts(content) != _texts(current.content):
                self._untrained.set()

    def retrain(self) -> None:
        """Ask for training in the background though no wording changed: the heads on disk may be older than the content."""
        self._untrained.set()

    def serve(self, trained: TrainedHeads, learnt: Content) -> None:
        """Answer with these heads from now on; `learnt` is the content that they were trained on."""
        space = Space.of(self._encoder, trained.heads, [text for _, text in _texts(learnt)], self._unanswerable)
        # The slow part, encoding every wording in the new space, happens before anybody has to wait.
        ready = FaqSearch.within(space, self._search.content, trained.thresholds)
        with self._writing:
            self._search = FaqSearch.within(ready.space, self._search.content, trained.thresholds)
            if _texts(self._search.content) != _texts(learnt):
                self._untrained.set()

    def start(self) -> Self:
        """Follow the folder in the background, and train in the background when wordings change."""
        if self._threads:
            return self
        self._stopping.clear()
        self._spawn("faq-watch", self._watch)
        if self._train is not None:
            self._spawn("faq-train", self._keep_training)
        return self

    def stop(self) -> None:
        """Stop following; what is served stays. Training that is under way ends by itself and is not served."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=2.0)
        self._threads.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self, name: str, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _watch(self) -> None:
        watch(self._directory, self.reload, self._stopping)

    def _keep_training(self) -> None:
        assert self._train is not None
        while True:
            while not self._untrained.wait(timeout=SWEEP_SECONDS):
                if self._stopping.is_set():
                    return
            while self._untrained.is_set() and not self._stopping.is_set():
                self._untrained.clear()
                self._stopping.wait(self._quiet_seconds)
            if self._stopping.is_set():
                return
            content = self._search.content
            try:
                trained = self._train(content)
                if trained is not None and not self._stopping.is_set():
                    self.serve(trained, content)
                    log.info("FAQ heads trained on %d entries are served", len(content.entries))
            except Exception:
                log.exception("the FAQ heads could not be trained; the present ones stay")

    def _report(self, content: Content) -> None:
        if content.mistakes == self._mistakes:
            return
        self._mistakes = content.mistakes
        for mistake in content.mistakes:
            log.warning("%s", mistake)
        if self._on_mistakes is not None:
            self._on_mistakes(content.mistakes)


def _texts(content: Content) -> set[tuple[str, str]]:
    """What heads are trained on: every slug with each of its texts."""
    return {(entry.slug, text) for entry in content.entries.values() for text in entry.texts}
