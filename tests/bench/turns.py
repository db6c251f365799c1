"""A chat turn, POST to stored reply, with 1 and 16 shoppers in one run; where the time goes; memory of each process.

Run: `.venv/bin/python -m tests.bench.turns`. Starts the whole product on free ports. Times are of this machine; the
ratio of the two runs and the shares are what travels.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from shop import DEMO_EMAIL
from tests.e2e.stack import Stack

SCRIPT = (
    "bonjour",
    "où en est ma commande CMD-2026-104233 ?",
    DEMO_EMAIL,
    "quels sont les délais de livraison ?",
    "je veux renvoyer un livre de la commande CMD-2026-104000",
    DEMO_EMAIL,
    "non",
    "merci beaucoup",
)
"""Eight turns: courtesy, form, action with order data, FAQ, form again, leaving it."""


WORK = ("message", "action", "bot_turn")
"""Where a turn meets the database: its message is stored, its actions look things up, its reply is stored."""


def shopper(url: str, rounds: int, seconds: list[float]) -> None:
    """Talk through the script `rounds` times, each in a conversation of its own; wait for each answer before going on."""
    with httpx.Client(base_url=f"{url}/api/v1/chat", timeout=60) as client:
        for _ in range(rounds):
            opened = client.post("/conversations", json={"language": "fr"}).json()
            path, headers = f"/conversations/{opened['id']}", {"Authorization": f"Bearer {opened['token']}"}
            after = client.get(f"{path}/events", headers=headers).json()["last"]
            for text in SCRIPT:
                asked = datetime.now(UTC)
                client.post(f"{path}/messages", json={"client_id": str(uuid.uuid4()), "text": text}, headers=headers)
                while True:
                    found = client.get(f"{path}/events", params={"after": after}, headers=headers).json()
                    replies = [event for event in found["events"] if event["from"] != "customer"]
                    if replies:
                        break
                    time.sleep(0.25)
                after = found["last"]
                seconds.append((datetime.fromisoformat(replies[0]["at"]) - asked).total_seconds())


def sums(url: str) -> dict[str, float]:
    text = httpx.get(f"{url}/metrics").text
    found = re.findall(r'^(comptoir_\w+_sum)(?:{work="(\w+)"})? ([\d.e+-]+)$', text, re.MULTILINE)
    return {f"{name}/{work}" if work else name: float(value) for name, work, value in found}


def run(url: str, shoppers: int, rounds: int) -> tuple[list[float], dict[str, float], float]:
    before = sums(url)
    seconds: list[float] = []
    threads = [threading.Thread(target=shopper, args=(url, rounds, seconds)) for _ in range(shoppers)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started
    after = sums(url)
    return seconds, {name: after[name] - before.get(name, 0.0) for name in after}, len(seconds) / took


def main() -> None:
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        stack.prepare()
        stack.start()
        try:
            run(stack.url, 1, 1)
            table = Table(
                "shoppers",
                "turns",
                "p50 ms",
                "p95 ms",
                "turns/s",
                "Rasa itself",
                "reading",
                "actions",
                "database",
                "waiting, rest",
                title="A chat turn",
            )
            for shoppers, rounds in ((1, 6), (16, 2)):
                seconds, spent, rate = run(stack.url, shoppers, rounds)
                cuts = statistics.quantiles(seconds, n=20)
                total = sum(seconds)
                action, reading = spent["comptoir_action_seconds_sum"], spent["comptoir_read_seconds_sum"]
                database = [spent.get(f"comptoir_database_seconds_sum/{work}", 0.0) for work in WORK]
                shares = (
                    spent["comptoir_rasa_seconds_sum"] - spent["comptoir_nlu_seconds_sum"] - action,
                    reading,
                    action - database[WORK.index("action")],
                    sum(database),
                )
                table.add_row(
                    str(shoppers),
                    str(len(seconds)),
                    f"{statistics.median(seconds) * 1000:.0f}",
                    f"{cuts[18] * 1000:.0f}",
                    f"{rate:.1f}",
                    *(f"{share / total:.0%}" for share in (*shares, total - sum(shares))),
                )
            console.print(table)
            memory = Table("process", "resident MB", title="Memory")
            assert stack.process is not None
            for process in [
                psutil.Process(stack.process.pid),
                *psutil.Process(stack.process.pid).children(recursive=True),
            ]:
                command = " ".join(process.cmdline())
                name = next(
                    (each for each in ("supervisord", "rasa_server", "cli web", "cli serve") if each in command),
                    "other",
                )
                memory.add_row(name, f"{process.memory_info().rss / 2**20:.0f}")
            console.print(memory)
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
