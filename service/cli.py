"""The `comptoir` command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.settings import LANGUAGES, ROOT, Settings, SettingsError, load_settings

GROUP_BYTES = 8_000_000  # of raw mail held at once, beside the mail that passes it

out = Console()
err = Console(stderr=True)


class Commands(click.Group):
    """What a trained model says when it cannot be used is said to whoever typed the command."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (RuntimeError, ValueError) as error:
            from models import ArtifactError, CorpusError

            if isinstance(error, ArtifactError | CorpusError):
                raise click.ClickException(str(error)) from error
            raise


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="comptoir")
@click.pass_context
def cli(context: click.Context) -> None:
    """Comptoir: customer service for online shops."""
    try:
        context.obj = load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@cli.command()
@click.pass_obj
def serve(settings: Settings) -> None:
    """Start everything: web app, Rasa, workers; print the URLs."""
    from service.serve import CannotStart
    from service.serve import serve as run
    from service.training_error import TrainingError

    try:
        run(settings, out)
    except (CannotStart, TrainingError) as error:
        raise click.ClickException(str(error)) from error


@cli.command(hidden=True)
@click.pass_obj
def web(settings: Settings) -> None:
    """The web process, as `serve` starts it."""
    from service.web_process import run_web

    run_web(settings)


@cli.command()
@click.option(
    "--only", type=click.Choice(["faq", "chat", "mail", "human", "language", "dialogue"]), help="Train this one only."
)
@click.pass_obj
def train(settings: Settings, only: str | None) -> None:
    """Train what is out of date; say what was skipped and why."""
    from service.training import train_all
    from service.training_error import TrainingError

    try:
        train_all(settings, out, only=only)
    except TrainingError as error:
        raise click.ClickException(str(error)) from error


@cli.command()
@click.argument("name", type=click.Choice(["faq", "chat", "mail", "human", "language"]))
@click.pass_obj
def rollback(settings: Settings, name: str) -> None:
    """Serve the version of a model that was served before."""
    from service.training import roll_back
    from service.training_error import TrainingError

    try:
        version = roll_back(settings, name)
    except TrainingError as error:
        raise click.ClickException(str(error)) from error
    out.print(f"{name} is served in version {version} again; restart Comptoir to load it.")


@cli.command()
@click.argument("files", nargs=-1, required=True)
@click.pass_obj
def triage(settings: Settings, files: tuple[str, ...]) -> None:
    """Sort mails: .eml FILES, an mbox, a Maildir, or - for standard input. One JSON object a mail."""
    from service.mail_policy import as_triage_policy
    from service.understanding import open_encoder, open_understanding
    from triage import MAILS_TOGETHER, OurSide, read_sources, triage_all

    missing = [name for name in files if name != "-" and not Path(name).exists()]
    if missing:
        raise click.ClickException(
            f"{missing[0]} does not exist; name .eml files, an mbox, a Maildir, or - for standard input"
        )
    understanding = open_understanding(settings, open_encoder(settings))
    ours = OurSide(settings.mail.our_addresses, settings.mail.authserv_id)
    policy, limits = as_triage_policy(settings.mail.policy), settings.mail.attachments.limits
    # What comes by a pipe is answered mail by mail: who writes there may be waiting.
    for some in _groups(read_sources(files), 1 if "-" in files else MAILS_TOGETHER):
        raws = [raw for _, raw in some]
        results = triage_all(raws, understanding, ours=ours, policy=policy, limits=limits)
        for (name, _), result in zip(some, results, strict=True):
            row = {"source": name, **result.to_dict()}
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def _groups(sources: Iterator[tuple[str, bytes]], size: int) -> Iterator[list[tuple[str, bytes]]]:
    """`size` at a time, fewer big ones; where the reading breaks off, what was read until then comes first."""
    group: list[tuple[str, bytes]] = []
    try:
        for source in sources:
            group.append(source)
            if len(group) == size or sum(len(raw) for _, raw in group) > GROUP_BYTES:
                yield group
                group = []
    except OSError:
        if group:
            yield group
        raise
    if group:
        yield group


@cli.command()
@click.argument("text")
@click.option("--mail", "as_mail", is_flag=True, help="TEXT is the body of a mail, not a chat message.")
@click.option("--subject", default="", help="The mail's subject; only with --mail.")
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default=None,
    help="The language of the conversation so far; in a chat the shop's own when not given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def explain(settings: Settings, text: str, as_mail: bool, subject: str, language: str | None, as_json: bool) -> None:
    """What is read in TEXT, and why Comptoir would answer it by itself, ask, or hand it over."""
    if subject and not as_mail:
        raise click.UsageError("only a mail has a subject: add --mail")
    if not f"{text}{subject}".strip():
        raise click.UsageError("there are no words to explain; give the message in quotes")
    from service.explain import explain as explain_message
    from service.explain import open_learned
    from service.explain_screen import on_screen

    # A terminal of another encoding hands over bytes that are no text.
    text, subject = (each.encode("utf-8", "replace").decode() for each in (text, subject))
    learned = open_learned(settings)
    if as_mail:
        explanation = explain_message(learned, text, channel="mail", subject=subject, language=language)
    else:
        explanation = explain_message(learned, text, language=language or settings.default_language)
    if as_json:
        click.echo(json.dumps(explanation.to_dict(), ensure_ascii=False))
        return
    out.print(on_screen(explanation), highlight=False)


@cli.group()
def mail() -> None:
    """Mail that comes in otherwise than by a server."""


@mail.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def import_(settings: Settings, paths: tuple[Path, ...], as_json: bool) -> None:
    """Take in the mails of PATHS: .eml files, mbox files, Maildirs, folders. What is known already is known once."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from service.mail_in import bytes_below, import_mails
    from store import Database, migrate

    database = Database(settings.database)
    migrate(database)
    columns = (TextColumn("Mail"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("import", total=bytes_below(paths))
        count = import_mails(
            database, paths, max_bytes=settings.mail.max_bytes, advance=lambda size: progress.advance(task, size)
        )
    database.dispose()
    failed = [{"place": failure.place, "reason": failure.reason} for failure in count.failures]
    if as_json:
        click.echo(json.dumps({"new": count.new, "known": count.known, "failed": failed}, ensure_ascii=False))
    else:
        for failure in count.failures:
            click.echo(f"{failure.place}: {failure.reason}", err=True)
        click.echo(f"{count.new} new, {count.known} known already, {len(failed)} failed")
    if failed:
        raise SystemExit(1)


@cli.group()
def agent() -> None:
    """The agents who may sit at the desk."""


@agent.command()
@click.argument("login")
@click.argument("name")
@click.password_option(help="Asked for when not given.")
@click.pass_obj
def add(settings: Settings, login: str, name: str, password: str) -> None:
    """Let LOGIN, shown to shoppers as NAME, sit at the desk."""
    from desk import add_agent
    from store import Database, migrate

    database = Database(settings.database)
    migrate(database)
    try:
        with database.begin() as session:
            add_agent(session, login, name, password)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    out.print(f"{name} can log in at {settings.url}/desk/ as {login}.")


@cli.group()
def faq() -> None:
    """The FAQ: search it, check its files, see its gaps."""


@faq.command()
@click.argument("question")
@click.option(
    "--lang", type=click.Choice(LANGUAGES), default=None, help="The shopper's language; detected when not given."
)
@click.option("-k", default=3, show_default=True, type=click.IntRange(1, 20), help="How many entries to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def search(settings: Settings, question: str, lang: str | None, k: int, as_json: bool) -> None:
    """What the FAQ would answer to QUESTION."""
    from service.understanding import open_encoder, open_faq_search, open_understanding

    encoder = open_encoder(settings)
    language = lang or open_understanding(settings, encoder).read_chat(question, settings.default_language).language
    result = open_faq_search(settings, encoder).search(question, language, k)
    if as_json:
        click.echo(json.dumps(result.to_dict(), ensure_ascii=False))
        return
    table = Table(
        "score",
        "entry",
        "title",
        title=f"answered ({language})" if result.answered else f"not sure enough ({language})",
    )
    for hit in result.top:
        table.add_row(f"{hit.score:.3f}", hit.slug, escape(hit.title))
    out.print(table)
    if result.answered:
        out.print(result.top[0].answer_markdown, markup=False)


@faq.command()
@click.pass_obj
def check(settings: Settings) -> None:
    """Lint the content; exit 1 and file:line on every mistake."""
    from faq_kb import check_content, check_wordings, read_topics

    topics = ROOT / "faq_kb" / "topics.csv"
    found = check_content(settings.content_dir, topics, LANGUAGES)
    wordings = check_wordings(ROOT / "faq_kb" / "wordings", {topic.slug for topic in read_topics(topics)})
    for line in (*found.mistakes, *found.missing, *wordings, *found.warnings):
        click.echo(str(line))
    if found.failed or wordings:
        raise SystemExit(1)
    click.echo("no mistakes")


@faq.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def gaps(settings: Settings, as_json: bool) -> None:
    """What shoppers asked and nobody answered, clustered."""
    from service.understanding import find_gaps

    clusters = find_gaps(settings)
    if as_json:
        click.echo(json.dumps([cluster.to_dict() for cluster in clusters], ensure_ascii=False))
        return
    table = Table("questions", "for instance", "nearest entry")
    for cluster in clusters:
        table.add_row(str(cluster.size), escape("\n".join(cluster.examples[:3])), cluster.nearest or "")
    out.print(table if clusters else "No unanswered question so far.")


@cli.command()
@click.argument("task", type=click.Choice(["faq", "triage", "chat"]))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--predictions", type=click.Path(dir_okay=False, path_type=Path), help="Write a prediction a line here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def evaluate(settings: Settings, task: str, file: Path, predictions: Path | None, as_json: bool) -> None:
    """Measure the product on a JSON-lines FILE (formats in docs/evaluation.md)."""
    from service.evaluation import EvaluationError, evaluate_file

    if predictions and not predictions.parent.is_dir():
        raise click.ClickException(
            f"{predictions.parent} does not exist: make it, or name another file for the predictions"
        )
    try:
        rows, figures = evaluate_file(settings, task, file)
    except EvaluationError as error:
        raise click.ClickException(str(error)) from error
    if predictions:
        predictions.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
        return
    table = Table("measure", "value", title=f"{task}: {len(rows)} rows of {file.name}")
    for name, value in figures.items():
        table.add_row(name, _shown(value))
    out.print(table)


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Entry point; a broken pipe (`comptoir triage ... | head`) is no error."""
    try:
        cli()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
