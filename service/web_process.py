"""The web process: gunicorn with one worker process, many threads, and Comptoir's own workers beside them."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

from service.settings import Settings

if TYPE_CHECKING:
    from apiflask import APIFlask

    from service.parts import Parts


class WebProcess(BaseApplication):  # type: ignore[misc]
    """The house is built after the fork, and all that it needs is imported there: threads and BLAS pools do not survive a
    fork, and the parent, which only watches its child, does not carry the models."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parts: Parts | None = None
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.threads,
            "timeout": 120,
            "graceful_timeout": 5,
            "keepalive": 15,
            "loglevel": "warning",
            "worker_exit": self._stop_parts,
        }
        for key, value in settings.items():
            self.cfg.set(key, value)

    def load(self) -> APIFlask:
        from service.parts import Parts
        from service.web import create_app
        from service.wiring import open_house

        house = open_house(self._settings)
        app = create_app(house)
        self._parts = Parts()
        self._parts.start(house)
        return app

    def _stop_parts(self, _server: object, _worker: object) -> None:
        if self._parts is not None:
            self._parts.stop()


def run_web(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM or SIGINT)."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.basicConfig(level=logging.WARNING)
    WebProcess(settings).run()
