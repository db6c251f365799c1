"""What runs beside the web app in its process: workers, mail's ways in, the demo sink, the FAQ watcher."""

from __future__ import annotations

import threading

import structlog

from service.mail_in import DropFolder, Listener
from service.mail_out import Sink
from service.mailboxes import Mailboxes
from service.wiring import House
from service.worker import Workers

log = structlog.get_logger()


class Parts:
    """Started once, stopped once; a second `stop` does nothing."""

    def __init__(self) -> None:
        self._house: House | None = None
        self._workers: Workers | None = None
        self._stoppable: list[Listener | DropFolder | Mailboxes | Sink] = []
        self._lock = threading.Lock()

    def start(self, house: House) -> None:
        settings = house.settings
        self._house = house
        self._stoppable = [
            Listener(house.database, settings.mail),
            DropFolder(house.database, settings.drop_dir),
            house.mailboxes,
        ]
        if settings.mail.relay_host is None:
            self._stoppable.append(Sink(settings.sink_dir, settings.mail.sink_port))
        for part in self._stoppable:
            part.start()
        self._workers = Workers(house)
        self._workers.start()
        house.faq.start()
        log.info("comptoir is open", url=settings.url)

    def stop(self) -> None:
        with self._lock:
            house, self._house = self._house, None
        if house is None:
            return
        house.stopping.set()
        house.faq.stop()
        for part in self._stoppable:
            part.stop()
        if self._workers:
            self._workers.stop()
        house.database.dispose()
