"""`comptoir serve`: check, train, migrate, seed, start web app and Rasa under supervisor, wait until all are ready."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from types import FrameType
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import httpx
import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from supervisor.xmlrpc import SupervisorTransport

import shop
from bot import rasa_command, write_endpoints
from service.demo import DEMO_AGENTS, DEMO_PASSWORD, add_demo_agents
from service.settings import ACTION_PATH, NLU_PATH, ROOT, Settings
from service.training_stamp import is_trained
from store import Database, migrate, utc_now

READY_SECONDS = 240


class CannotStart(Exception):
    """Comptoir cannot start; the message is one line with the remedy."""


def serve(settings: Settings, console: Console) -> None:
    """Run everything until interrupted; raises CannotStart."""
    # Said outright: a process started in the background of a script inherits a SIGINT that is ignored.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        _check_python(settings)
        _stop_orphans(settings)
        _check_ports(settings)
        prepare(settings, console)
        with _supervised(settings) as supervisor:
            _wait_until_ready(settings, supervisor, console)
            _announce(settings, console)
            _stay(settings, supervisor, console)
    console.print("Comptoir has stopped.")


def prepare(settings: Settings, console: Console) -> None:
    """Train what is missing, bring the database to the newest schema, seed the demo shop."""
    if not is_trained(settings):
        # Loading what training needs takes twenty seconds: only when there is something to train.
        from service.training import train_all

        train_all(settings, console)
    (settings.data_dir / "log").mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    migrate(database)
    if settings.demo:
        with Progress(TextColumn("Demo shop"), BarColumn(), transient=True, console=console) as progress:
            task = progress.add_task("seed", total=shop.DEMO_ORDER_COUNT)
            with database.begin() as session:
                shop.seed(session, now=utc_now(), advance=lambda: progress.advance(task))
                add_demo_agents(session)
    database.dispose()


def _check_python(settings: Settings) -> None:
    if not settings.rasa_python.exists():
        raise CannotStart(f"Rasa's environment is missing ({settings.rasa_python}): run `make install`.")
    found = subprocess.run([settings.rasa_python, "--version"], capture_output=True, text=True, check=False)
    if "3.10." not in found.stdout:
        raise CannotStart(
            f"Rasa needs Python 3.10, but {settings.rasa_python} is {found.stdout.strip() or 'broken'}: "
            "remove bot/.venv and run `make install`."
        )


def _stop_orphans(settings: Settings) -> None:
    """Stop what an earlier start in this data folder left running when it was killed."""
    try:
        orphan = psutil.Process(int((settings.data_dir / "run" / "supervisord.pid").read_text()))
        if "supervisord" in " ".join(orphan.cmdline()) and orphan.parent() in (None, psutil.Process(1)):
            orphan.terminate()
            orphan.wait(60)
    except (OSError, ValueError, psutil.Error):
        return


def _check_ports(settings: Settings) -> None:
    wanted = [
        (settings.host, settings.port, "COMPTOIR_PORT"),
        ("127.0.0.1", settings.rasa_port, "COMPTOIR_RASA_PORT"),
        (settings.mail.listen_host, settings.mail.listen_port, "COMPTOIR_MAIL__LISTEN_PORT"),
    ]
    if settings.mail.lmtp_port is not None:
        wanted.append((settings.mail.listen_host, settings.mail.lmtp_port, "COMPTOIR_MAIL__LMTP_PORT"))
    if settings.mail.relay_host is None:
        wanted.append(("127.0.0.1", settings.mail.sink_port, "COMPTOIR_MAIL__SINK_PORT"))
    taken: dict[int, str] = {}
    for _, port, variable in wanted:
        if port in taken:
            raise CannotStart(f"Port {port} is set twice: choose another with {taken[port]}=... or {variable}=...")
        taken[port] = variable
    for host, port, variable in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise CannotStart(
                    f"Port {port} on {host} cannot be used ({error.strerror}): stop what uses it, "
                    f"or choose another with {variable}=..."
                ) from error


@contextlib.contextmanager
def _supervised(settings: Settings) -> Iterator[Path]:
    """Supervisor with the web process and Rasa under it, for the length of the block."""
    run_dir = settings.data_dir / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    config = run_dir / "supervisord.conf"
    socket_path = run_dir / "supervisor.sock"
    config.write_text(_supervisor_config(settings, socket_path))
    # A session of its own: Ctrl-C reaches us alone, and we stop the rest in order.
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield socket_path
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _supervisor_config(settings: Settings, socket_path: Path) -> str:
    logs = settings.data_dir / "log"
    endpoints = settings.data_dir / "run" / "endpoints.yml"
    write_endpoints(
        endpoints,
        nlu_url=f"{settings.url}{NLU_PATH}",
        action_url=f"{settings.url}{ACTION_PATH}",
        token=settings.rasa_token,
        tracker_db=settings.data_dir / "rasa" / "tracker.db",
    )
    rasa = rasa_command(
        settings.rasa_python,
        port=settings.rasa_port,
        models=settings.dialogue_dir,
        endpoints=endpoints,
    )
    web = [sys.executable, "-m", "service.cli", "web"]
    return f"""
[unix_http_server]
file={socket_path}
chmod=0700

[supervisord]
nodaemon=true
logfile={logs / "supervisor.log"}
pidfile={socket_path.parent / "supervisord.pid"}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

{_program("web", web, {}, logs, ROOT)}
{_program("rasa", rasa.argv, rasa.env, logs, rasa.cwd)}
"""


def _program(name: str, argv: list[str], env: dict[str, str], logs: Path, cwd: Path) -> str:
    # Supervisor expands %-signs; a literal one is doubled.
    quoted = " ".join(f'"{part}"' for part in argv).replace("%", "%%")
    environment = ",".join(f'{key}="{value}"' for key, value in env.items()).replace("%", "%%")
    return f"""
[program:{name}]
command={quoted}
directory={cwd}
environment={environment}
autorestart=true
startsecs=5
startretries=5
stopsignal=TERM
stopwaitsecs=20
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={logs / name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


def _server(supervisor: Path) -> Any:
    # A connection a question: one that failed once (the socket is not there yet) never works again.
    return ServerProxy("http://127.0.0.1", SupervisorTransport(serverurl=f"unix://{supervisor}"))


def _state(supervisor: Path, name: str) -> str:
    try:
        info: Any = _server(supervisor).supervisor.getProcessInfo(name)
    except (OSError, HTTPException, Fault):
        return "UNKNOWN"
    return str(info["statename"])


def _wait_until_ready(settings: Settings, supervisor: Path, console: Console) -> None:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    logs = settings.data_dir / "log"
    with Progress(*columns, console=console) as progress:
        tasks = {name: progress.add_task(f"starting {name}", total=1) for name in ("web", "rasa")}
        deadline = time.monotonic() + READY_SECONDS
        waiting = dict(tasks)
        while waiting:
            for name, task in list(waiting.items()):
                if _state(supervisor, name) == "FATAL":
                    raise CannotStart(f"{name} does not start: the reason stands at the end of {logs / name}.log")
                if _answers(settings, name):
                    progress.update(task, completed=1, description=f"{name} is ready")
                    del waiting[name]
            if time.monotonic() > deadline:
                late = ", ".join(waiting)
                raise CannotStart(f"{late} did not get ready in {READY_SECONDS} s: see {logs}")
            time.sleep(0.3)


def _answers(settings: Settings, name: str) -> bool:
    url = f"{settings.url}/healthz" if name == "web" else f"http://127.0.0.1:{settings.rasa_port}/"
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _announce(settings: Settings, console: Console) -> None:
    console.print(f"\n[bold]Comptoir is open.[/bold]   Ctrl-C stops it; logs are in {settings.data_dir / 'log'}\n")
    if settings.demo:
        console.print(f"  demo shop with the widget   {settings.url}/")
    console.print(f"  agents' desk                {settings.url}/desk/")
    if settings.demo:
        logins = " or ".join(login for login, _ in DEMO_AGENTS)
        console.print(f"                              login {logins}, password {DEMO_PASSWORD}")
        console.print(
            f"  try                         où en est ma commande {shop.DEMO_ORDER} ?  "
            f"({shop.DEMO_EMAIL} or {shop.DEMO_POSTCODE})"
        )
    console.print(f"  mail to                     {settings.mail.address} by SMTP on port {settings.mail.listen_port},")
    if settings.mail.lmtp_port is not None:
        console.print(f"                              by LMTP on port {settings.mail.lmtp_port},")
    for mailbox in settings.mail.mailboxes:
        console.print(f"                              in mailbox {mailbox.name} ({mailbox.user} at {mailbox.host}),")
    console.print(f"                              or as files in {settings.drop_dir}")
    console.print(f"  API                         {settings.url}/api/openapi.json\n")


def _stay(settings: Settings, supervisor: Path, console: Console) -> None:
    """Say once when a part goes down and when it is back, until interrupted."""
    down: set[str] = set()
    logs = settings.data_dir / "log"
    while True:
        time.sleep(2)
        for name in ("web", "rasa"):
            state = _state(supervisor, name)
            if state == "UNKNOWN":
                raise CannotStart(f"the supervisor is gone: see {logs / 'supervisor.log'}, then start Comptoir again")
            if state == "FATAL":
                _server(supervisor).supervisor.startProcess(name, False)
            if state != "RUNNING" and name not in down:
                down.add(name)
                meanwhile = "shoppers are told and can reach a human; " if name == "rasa" else ""
                console.print(
                    f"[red]{name} has stopped ({state.lower()})[/red]: {meanwhile}it is restarted. See {logs / name}.log"
                )
            elif state == "RUNNING" and name in down and _answers(settings, name):
                down.discard(name)
                console.print(f"[green]{name} is back.[/green]")
