"""The whole product as `comptoir serve` starts it, on free ports and in folders of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

import httpx
from supervisor.xmlrpc import SupervisorTransport

from store import Database
from tests.service.conftest import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 240


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first truthy value of `condition`; fails after `seconds`, saying what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass
class Stack:
    """A running Comptoir."""

    folder: Path
    port: int = field(default_factory=free_port)
    rasa_port: int = field(default_factory=free_port)
    smtp_port: int = field(default_factory=free_port)
    sink_port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def content(self) -> Path:
        return self.folder / "content"

    @property
    def env(self) -> dict[str, str]:
        limits = dict.fromkeys(("conversations", "messages", "faq", "orders", "login"), "10000 per minute")
        return {
            **os.environ,
            "COMPTOIR_DATA_DIR": str(self.folder / "var"),
            "COMPTOIR_CONTENT_DIR": str(self.content),
            "COMPTOIR_ARTIFACTS_DIR": str(self.folder / "artifacts"),
            "COMPTOIR_PORT": str(self.port),
            "COMPTOIR_RASA_PORT": str(self.rasa_port),
            "COMPTOIR_MAIL__LISTEN_PORT": str(self.smtp_port),
            "COMPTOIR_MAIL__SINK_PORT": str(self.sink_port),
            "COMPTOIR_LIMITS": json.dumps(limits),
            "COLUMNS": "200",
        }

    def prepare(self) -> None:
        """Copies of the content and of the trained models, so that a test may change them."""
        shutil.copytree(ROOT / "faq_kb" / "content", self.content)
        shutil.copytree(ROOT / "models" / "artifacts", self.folder / "artifacts")

    def start(self) -> str:
        """Start and wait until it says that it is open; what it has printed."""
        log = self.folder / "serve.log"
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service.cli", "serve"],
                cwd=ROOT,
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        process = self.process

        def open_or_dead() -> bool:
            return "Comptoir is open" in log.read_text() or process.poll() is not None

        wait_for(open_or_dead, START_SECONDS, "Comptoir is open")
        assert process.poll() is None, log.read_text()
        wait_for(lambda: "/api/openapi.json" in log.read_text(), 5, "the URLs")
        return log.read_text()

    def stop(self) -> str:
        """Ctrl-C; what it printed in all."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(90)
        return self.printed

    @property
    def printed(self) -> str:
        """What it has printed since it started."""
        return (self.folder / "serve.log").read_text()

    @property
    def supervisor(self) -> Any:
        path = self.folder / "var" / "run" / "supervisor.sock"
        return ServerProxy("http://127.0.0.1", SupervisorTransport(serverurl=f"unix://{path}")).supervisor

    def rasa_answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.rasa_port}/", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def web_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def database(self) -> Database:
        return Database(f"sqlite:///{self.folder / 'var' / 'comptoir.db'}")
