"""Why Comptoir would do with a message what it would do: everything that was read in it, and the reasons in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

import triage
from bot import nlu_response
from bot.executor import SUGGESTION_FLOOR
from bot.forms import ReadReturnAnswer, ReadTrackingAnswer
from bot.understanding import FALLBACK
from faq_kb import FaqSearch
from faq_kb.content import fold
from models import (
    OUT_OF_SCOPE,
    TALK_TO_HUMAN,
    ChatReading,
    Entity,
    HumanOpinion,
    MailReading,
    Threshold,
    Understanding,
    choose_threshold,
    current_folder,
    read_threshold,
)
from service.evaluation import as_mail
from service.mail_policy import as_triage_policy
from service.settings import Settings
from service.understanding import open_encoder, open_faq_search, open_understanding
from triage.sort import MAX_READ

TOP = 5
NEAREST = 3
MAIL_QUESTION = 2000  # characters of a mail that the FAQ is asked with, as for a draft

Channel = Literal["chat", "mail"]
Outcome = Literal["answer", "ask", "silent", "hand_over"]

ORDER_JOURNEY = frozenset({"order_tracking", "provide_order_number", "provide_email"})
RETURN_JOURNEY = frozenset({"return"})
COURTESIES = frozenset({"greet", "thanks", "goodbye", "affirm", "deny"})
COMPLAINT = "complaint"
"""What the rules of `bot/data/rules.yml` do with an intent at the start of a conversation; every other one asks the FAQ."""

_ACTION_OUTCOME: dict[triage.Action, Outcome] = {
    "answer": "answer",
    "draft": "hand_over",
    "queue": "hand_over",
    "ignore": "silent",
}

_AGAINST = {
    "not_confident": "the motive is not certain enough for the error rate it allows",
    "several_motives": "there are several motives",
    "urgent": "it is urgent",
    "no_faq_answer": "no FAQ entry answers for sure",
    "sender_unverified": "order data needs a verified sender, and a text has none",
    "no_order_answer": "the sender's order does not answer it",
    "outside_hours": "not at this hour",
}
"""Reasons against an automatic answer, in words; a reason that is not here is shown by its name."""


@dataclass(frozen=True)
class Guess:
    """An intent, a motive or an FAQ entry with its probability."""

    name: str
    probability: float


@dataclass(frozen=True)
class NearWording:
    """One wording of the FAQ; `similarity` is the cosine to the message, after the adapter."""

    text: str
    slug: str
    title: str
    language: str
    similarity: float


@dataclass(frozen=True)
class FaqOpinion:
    """What the FAQ makes of a message.

    `candidates` by falling probability; `none_probability` is the null class of the trained heads: that no entry answers.
    `by` says whose opinion the first candidate stands on, and so which `threshold` counts: the heads', the index's (an entry
    that the heads have not learnt), or neither, because the message is a listed wording of the entry.
    """

    candidates: tuple[Guess, ...]
    none_probability: float
    threshold: float
    by: Literal["heads", "index", "wording", "nothing"]
    answered: bool


@dataclass(frozen=True)
class Explanation:
    """One message understood, and what would be done with it.

    `guesses`: the five likeliest intents (chat) or motives (mail), `threshold` what the first must reach to be acted on;
    `given`: those it is taken to have; `further_threshold`: from where a mail is given further motives, None in a chat.
    `outcome`: what Comptoir would do by itself; `reasons`: why, a sentence each.
    """

    channel: Channel
    subject: str
    text: str
    language: str
    language_probability: float
    guesses: tuple[Guess, ...]
    given: tuple[str, ...]
    threshold: Threshold
    further_threshold: float | None
    human: HumanOpinion
    entities: tuple[Entity, ...]
    order_numbers: tuple[str, ...]
    wordings: tuple[NearWording, ...]
    faq: FaqOpinion
    faq_threshold: Threshold
    outcome: Outcome
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields, numbers rounded to four places."""
        rounded: dict[str, Any] = _rounded(asdict(self))
        return rounded


@dataclass(frozen=True)
class Learned:
    """What an explanation is made from. `chat`, `mail` and `faq_threshold` are what the artefacts' training wrote down,
    `policy` what the shop allows for mail."""

    understanding: Understanding
    faq: FaqSearch
    chat: Threshold
    mail: Threshold
    faq_threshold: Threshold
    policy: triage.Policy = triage.DRAFT_ALL


def open_learned(settings: Settings) -> Learned:
    """All that an explanation is made from. Raises models.ArtifactError, naming the remedy, when nothing is trained yet."""
    chat, mail = (read_threshold(current_folder(settings.artifacts_dir, name)) for name in ("chat", "mail"))
    encoder = open_encoder(settings)
    understanding, search = open_understanding(settings, encoder), open_faq_search(settings, encoder)
    if search.space.heads is None:
        faq = choose_threshold((), (), settings.error_rate)
    else:
        faq = read_threshold(current_folder(settings.artifacts_dir, "faq"))
    return Learned(understanding, search, chat, mail, faq, as_triage_policy(settings.mail.policy))


def explain(
    learned: Learned, text: str, *, channel: Channel = "chat", subject: str = "", language: str | None = None
) -> Explanation:
    """What is read in a chat message at the start of a conversation, or in a mail, and why it would be treated as it would.

    `subject`: a mail's. `language`: that of the conversation so far, where one is known.
    """
    return _mail(learned, subject, text, language) if channel == "mail" else _chat(learned, text, language)


def _chat(learned: Learned, text: str, language: str | None) -> Explanation:
    reading = learned.understanding.read_chat(text, language)
    opinion = _ask_faq(learned.faq, text, reading.language)
    human = learned.understanding.explain_human_in_chat(text)
    intent = str(nlu_response(reading, learned.chat.value)["intent"]["name"])
    outcome, reasons = _chat_reasons(learned, reading, human, opinion, intent)
    return Explanation(
        channel="chat",
        subject="",
        text=text,
        language=reading.language,
        language_probability=reading.language_probability,
        guesses=_guesses(reading.ranking),
        given=(intent,),
        threshold=learned.chat,
        further_threshold=None,
        human=human,
        entities=reading.entities,
        order_numbers=reading.order_numbers,
        wordings=_near_wordings(learned.faq, text, reading.language),
        faq=opinion,
        faq_threshold=learned.faq_threshold,
        outcome=outcome,
        reasons=reasons,
    )


def _mail(learned: Learned, subject: str, body: str, language: str | None) -> Explanation:
    result = triage.triage(as_mail(subject, body), learned.understanding, language_hint=language)
    mail = result.mail
    text = (mail.text or mail.full_text)[:MAX_READ]
    reading = learned.understanding.read_mail(mail.subject, text, language)
    question = f"{mail.subject}\n{text}"[:MAIL_QUESTION]
    opinion = _ask_faq(learned.faq, question, reading.language)
    human = learned.understanding.explain_human_in_mail(mail.subject, text)
    # A text alone proves no sender and names no order of theirs: what needs that is said among the reasons.
    findings = triage.Findings(faq_answers=opinion.answered)
    decision = triage.decide(mail, result.sorting, policy=learned.policy, findings=findings)
    return Explanation(
        channel="mail",
        subject=mail.subject,
        text=text,
        language=reading.language,
        language_probability=reading.language_probability,
        guesses=_guesses(reading.motives),
        given=reading.predicted,
        threshold=learned.mail,
        further_threshold=learned.understanding.further_threshold,
        human=human,
        entities=reading.entities,
        order_numbers=result.sorting.order_numbers,
        wordings=_near_wordings(learned.faq, question, reading.language),
        faq=opinion,
        faq_threshold=learned.faq_threshold,
        outcome=_ACTION_OUTCOME[decision.action],
        reasons=_mail_reasons(learned, reading, human, opinion, decision, result.sorting.urgency),
    )


def _guesses(ranking: Sequence[tuple[str, float]]) -> tuple[Guess, ...]:
    return tuple(Guess(name, probability) for name, probability in ranking[:TOP])


def _ask_faq(faq: FaqSearch, question: str, language: str) -> FaqOpinion:
    result = faq.search(question, language, NEAREST)
    heads = faq.space.heads
    # Without heads there is no null class of theirs: what the entries leave is the index's "none of them".
    none = 1.0 - sum(hit.score for hit in result.top)
    none = float(heads.predict([question])[0, -1]) if heads is not None else max(0.0, none)
    candidates = tuple(Guess(hit.slug, hit.score) for hit in result.top)
    by = _opinion_of(faq, question, result.slug, result.answered)
    threshold = faq.thresholds.index if by == "index" else faq.thresholds.heads
    return FaqOpinion(candidates, none, threshold, by, result.answered)


def _opinion_of(
    faq: FaqSearch, question: str, slug: str | None, answered: bool
) -> Literal["heads", "index", "wording", "nothing"]:
    """Whose word the likeliest entry stands on. Its texts were learnt by the heads all together, or none of them was."""
    entry = faq.content.entry(slug, ()) if slug is not None else None
    if slug is None or entry is None:
        return "nothing"
    listed = {fold(text) for (_, each), found in faq.content.entries.items() if each == slug for text in found.texts}
    if answered and fold(question) in listed:
        return "wording"
    return "heads" if faq.space.knows(slug, entry.title) else "index"


def _near_wordings(faq: FaqSearch, question: str, language: str) -> tuple[NearWording, ...]:
    """The wordings most similar to the question, in any language."""
    listed = [(text, entry) for entry in faq.content.entries.values() for text in entry.texts]
    if not listed or not question.strip():
        return ()
    vectors = faq.space.embeddings.of([text for text, _ in listed])
    similarities = vectors @ faq.space.embeddings.question(question)[0]
    nearest = np.argsort(-similarities, kind="stable")[:NEAREST]
    found = []
    for row in nearest:
        text, entry = listed[int(row)]
        shown = faq.content.entry(entry.slug, (language,)) or entry
        found.append(NearWording(text, entry.slug, shown.title, entry.language, float(similarities[row])))
    return tuple(found)


def _chat_reasons(
    learned: Learned, reading: ChatReading, human: HumanOpinion, opinion: FaqOpinion, intent: str
) -> tuple[Outcome, tuple[str, ...]]:
    reasons = [_human_reason(human)]
    if intent == TALK_TO_HUMAN and human.wanted:
        return "hand_over", (*reasons, "A wish for a human goes before everything else: an adviser takes over.")
    reasons.append(_intent_reason(learned.chat, reading, intent))
    if intent == TALK_TO_HUMAN:
        return "hand_over", (*reasons, "An adviser takes over.")
    form = next((form for form in (ReadTrackingAnswer, ReadReturnAnswer) if intent in form.own), None)
    if form is not None and opinion.answered and not reading.entities and opinion.candidates[0].name not in form.does:
        reasons.append(f"{_faq_reason(learned.faq_threshold, opinion)} It says this entry first.")
    if intent in ORDER_JOURNEY:
        reasons.append(
            "It asks for the order number and for a proof of identity: order data is never given without one."
        )
        return "ask", tuple(reasons)
    if intent in RETURN_JOURNEY:
        reasons.append(
            "It asks for the order, a proof of identity and the item, and for a yes before it opens the return."
        )
        return "ask", tuple(reasons)
    if intent in COURTESIES:
        return "answer", (*reasons, "A courtesy: it answers with a set phrase.")
    reasons.append(_faq_reason(learned.faq_threshold, opinion))
    if opinion.answered:
        return "answer", (*reasons, "It answers by itself with this entry.")
    if intent == OUT_OF_SCOPE:
        return "silent", (*reasons, "None of the shop's intents: it says that it cannot help with this.")
    near = [guess for guess in opinion.candidates if guess.probability >= SUGGESTION_FLOOR]
    if intent == COMPLAINT:
        return "silent", (
            *reasons,
            "A complaint without a sure answer: it says that it has heard, and offers an adviser.",
        )
    if near:
        reasons.append(
            f"It asks back: {_counted(len(near), 'suggestion')} from {SUGGESTION_FLOOR:.2f} upwards, and an adviser."
        )
        return "ask", tuple(reasons)
    reasons.append(
        f"No entry reaches {SUGGESTION_FLOOR:.2f}: it suggests none, says that it does not know, and offers an adviser."
    )
    return "silent", tuple(reasons)


def _intent_reason(threshold: Threshold, reading: ChatReading, intent: str) -> str:
    said = f'The likeliest intent is "{reading.intent}" with {reading.confidence:.2f}'
    limit = f"an intent is acted on from {threshold.value:.2f} ({_stated(threshold, 'journeys begun wrong')})"
    if intent == reading.intent and reading.confidence >= threshold.value:
        return f"{said}; {limit}."
    if intent == FALLBACK:
        passes = reading.confidence >= threshold.value
        why = "but that it is this one is too doubtful" if passes else f"{limit}"
        return f"{said}; {why}, so it is not acted on and the message is put to the FAQ."
    if reading.intent == TALK_TO_HUMAN:
        return f'{said}; a human is called by their own detector alone, so that the next one counts: "{intent}".'
    if intent == reading.intent:
        return f"{said}; {limit}, but a short courtesy needs less."
    return f'{said}; {limit}, but what the message holds (a number, an address) makes it "{intent}".'


def _mail_reasons(
    learned: Learned,
    reading: MailReading,
    human: HumanOpinion,
    opinion: FaqOpinion,
    decision: triage.Decision,
    urgency: triage.Urgency,
) -> tuple[str, ...]:
    probabilities = dict(reading.motives)
    given = ", ".join(f'"{motive}" {probabilities[motive]:.2f}' for motive in reading.predicted)
    sure = "sure enough" if reading.confident else "not sure enough"
    reasons = [
        _human_reason(human),
        f"The mail gives {given}; the first is {sure} to act on: the threshold is {learned.mail.value:.2f} "
        f"({_stated(learned.mail, 'mails sorted wrong')}); further motives count from "
        f"{learned.understanding.further_threshold:.2f}.",
    ]
    if urgency.score:
        urgent = "it stands first in the queue" if urgency.urgent else "not urgent"
        reasons.append(f"Urgency {urgency.score} of 100 ({', '.join(urgency.reasons)}): {urgent}.")
    match decision.action:
        case "ignore":
            return (*reasons, f"A machine wrote it ({', '.join(decision.reasons)}): nobody is answered.")
        case "queue":
            why = "a human is asked for" if "wants_human" in decision.reasons else "the shop's policy for its motives"
            return (*reasons, f"An adviser gets it: {why}.")
        case "draft" if "policy" in decision.reasons:
            unsure = "" if reading.confident else " and the motive is uncertain"
            reasons.append(
                f"The shop's policy lets an adviser read each reply first{unsure}: a draft waits at the desk."
            )
        case "draft":
            against = "; ".join(_AGAINST.get(reason, reason) for reason in decision.reasons)
            reasons.append(f"The shop's policy allows an automatic answer, but {against}: a draft waits at the desk.")
        case "answer":
            reasons.append("The shop's policy allows an automatic answer, and nothing speaks against it.")
    reasons.append(_faq_reason(learned.faq_threshold, opinion))
    reasons.append("The reply quotes this entry." if opinion.answered else "The reply quotes no entry.")
    return tuple(reasons)


def _human_reason(human: HumanOpinion) -> str:
    where = f'"{_short(human.sentence)}"' if human.sentence else "no words"
    figures = f"probability {human.probability:.2f}, threshold {human.threshold:.2f}"
    if not human.wanted:
        refused = "; the lexicon knows a phrase in it that only mentions or refuses somebody" if human.refuses else ""
        return f"No human is asked for ({figures}){refused}."
    word = {
        "lexicon": "the lexicon knows the phrase; the trained heads alone would not have said so",
        "heads": "the trained heads say so; the lexicon knows no such phrase",
        "both": "lexicon and trained heads both say so",
        "nobody": "",
    }[human.said_by]
    return f"A human is asked for ({figures}) in {where}: {word}."


def _faq_reason(stated: Threshold, opinion: FaqOpinion) -> str:
    if not opinion.candidates:
        return "The FAQ has nothing to compare the message with."
    best = opinion.candidates[0]
    likeliest = f'The likeliest FAQ entry is "{best.name}" with {best.probability:.3f}'
    if opinion.by == "wording":
        return f"{likeliest}: the message is one of its own wordings."
    reached = "reached" if opinion.answered else "not reached"
    if opinion.by == "index":
        return (
            f"{likeliest}, by the index alone because the heads have not learnt it; "
            f"its threshold of {opinion.threshold:.3f} is {reached}."
        )
    return (
        f"{likeliest}; the threshold of {opinion.threshold:.3f} is {reached} ({_stated(stated, 'wrong answers')}). "
        f"That no entry answers has {opinion.none_probability:.3f}."
    )


def _stated(threshold: Threshold, what: str) -> str:
    """The error rate a threshold was set for, and what it did on held-out text."""
    if threshold.answered == 0:
        return f"no threshold kept {what} within {threshold.target:.1%}, so nothing passes"
    return (
        f"set where {threshold.target:.1%} {what} are to be expected: of {threshold.questions} held-out texts "
        f"{threshold.answered} passed, {threshold.wrong} of them wrongly, so that {threshold.upper_bound:.1%} is the most that is "
        f"likely ({threshold.confidence:.0%} confidence)"
    )


def _short(text: str, most: int = 80) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
