"""An explanation on the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.explain import Explanation

_OUTCOMES = {
    "answer": "answers by itself",
    "ask": "asks the shopper",
    "silent": "gives no answer",
    "hand_over": "hands over to an adviser",
}


def on_screen(explanation: Explanation) -> RenderableType:
    """The explanation for `rich.console.Console.print`."""
    found = explanation
    return Group(
        Text.assemble((f"Comptoir {_OUTCOMES[found.outcome]}", "bold")),
        _reasons(found),
        "",
        _facts(found),
        "",
        _guesses(found),
        "",
        _candidates(found),
        "",
        _wordings(found),
    )


def _reasons(found: Explanation) -> Table:
    table = Table.grid(padding=(0, 1))
    for reason in found.reasons:
        table.add_row(" -", Text(reason))
    return table


def _facts(found: Explanation) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    human = found.human
    table.add_row("language", f"{found.language} {found.language_probability:.2f}")
    table.add_row(
        "human",
        Text(
            f"{'wanted' if human.wanted else 'not wanted'}, probability {human.probability:.2f}, threshold "
            f"{human.threshold:.2f}; said by {human.said_by} (lexicon: {_lexicon(found)}, "
            f"heads {human.head_probability:.2f})"
        ),
    )
    table.add_row("order numbers", Text(", ".join(found.order_numbers) or "none"))
    table.add_row("entities", Text(", ".join(f"{each.kind} {each.value}" for each in found.entities) or "none"))
    return table


def _lexicon(found: Explanation) -> str:
    said = [word for word, is_so in (("asks", found.human.asks), ("refuses", found.human.refuses)) if is_so]
    return " and ".join(said) or "silent"


def _guesses(found: Explanation) -> Table:
    name = "intent" if found.channel == "chat" else "motive"
    table = Table(
        name, "probability", "", title=f"{name}s, threshold {found.threshold.value:.3f}", title_justify="left"
    )
    for guess in found.guesses:
        table.add_row(guess.name, f"{guess.probability:.3f}", "given" if guess.name in found.given else "")
    for given in found.given:
        if given not in {guess.name for guess in found.guesses}:
            table.add_row(given, "", "given")
    return table


def _candidates(found: Explanation) -> Table:
    title = f"FAQ entries, threshold {found.faq.threshold:.3f} ({found.faq.by})"
    table = Table("entry", "probability", title=title, title_justify="left")
    for guess in found.faq.candidates:
        table.add_row(guess.name, f"{guess.probability:.3f}")
    table.add_row(Text("none of them (null class)", style="dim"), f"{found.faq.none_probability:.3f}")
    return table


def _wordings(found: Explanation) -> Table:
    table = Table("similarity", "wording", "language", "entry", title="nearest FAQ wordings", title_justify="left")
    for each in found.wordings:
        table.add_row(f"{each.similarity:.3f}", Text(each.text), each.language, each.slug)
    return table
