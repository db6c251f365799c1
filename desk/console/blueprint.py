"""The routes of the console: pages for people under `/desk`, JSON for its own script under `/desk/api`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    get_template_attribute,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from desk import (
    AlreadyReviewed,
    Channel,
    Conversation,
    Correction,
    CorrectionKind,
    CorrectionState,
    NotCorrectable,
    Owner,
    Promise,
    UnknownConversation,
    accept_correction,
    answer,
    attachment,
    claim_conversation,
    close,
    corrections_of,
    count_pending_corrections,
    count_quarantined,
    escalate,
    kept_raw,
    load,
    mail_raw,
    misread,
    outgoing,
    pending_corrections,
    quarantined,
    queue_position,
    read_again,
    record_correction,
    refuse_correction,
    release,
    send_again,
    send_answer,
    take_as_sent,
    trouble_with,
    unmatched,
)
from desk.console import screen
from desk.console.doors import ConsoleDoors
from desk.console.language import Words, choose, words
from desk.console.live import stream_changes
from desk.console.sign_in import guard, is_call, me
from desk.views import (
    View,
    agent_name,
    count_conversations,
    customer_panel,
    first_motive,
    list_conversations,
    mail_case,
    one_line,
    transcript,
)
from store import utc_now

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
RASA_LOOK_SECONDS = 5.0


class Reply(BaseModel):
    """What an agent sends. The same `client_id` again is the same reply."""

    client_id: UUID
    text: str = Field(min_length=1, max_length=20_000)
    subject: str = Field(default="", max_length=400)
    close: bool = False
    seen: int = Field(default=0, ge=0)
    """The number of the last event on the agent's screen; matters with `close`."""


class Closing(BaseModel):
    """An agent closes what they see: `seen` is the number of the last event on their screen."""

    seen: int = Field(default=0, ge=0)


class Correcting(BaseModel):
    """What an agent says is right about event `number`. `correct` None: no FAQ entry answers the question."""

    number: int = Field(ge=1)
    kind: CorrectionKind
    correct: str | None = Field(max_length=80)


class Acceptance(BaseModel):
    """What a reviewer lets through: the words without personal data; `correct` as the reviewer saw it."""

    correct: str | None = Field(max_length=80)
    text: str = Field(max_length=20_000)
    subject: str | None = Field(default=None, max_length=400)


class Refusal(BaseModel):
    """What a reviewer sets aside; `correct` as the reviewer saw it."""

    correct: str | None = Field(max_length=80)


class Refused(Exception):
    """The act came too late or to the wrong conversation; `message` tells the agent why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def console_blueprint(doors: ConsoleDoors) -> Blueprint:
    """The agents' console under `/desk`."""
    # A plain Blueprint with a before_request function breaks APIFlask's OpenAPI document.
    desk = APIBlueprint(
        "desk",
        __name__,
        url_prefix="/desk",
        template_folder="templates",
        static_folder="static",
        enable_openapi=False,
    )
    guard(desk, doors)
    streams = threading.BoundedSemaphore(doors.streams)
    rasa_up = _remembered(doors.rasa_up, RASA_LOOK_SECONDS)
    mailbox_alarms = doors.mailbox_alarms

    @desk.get("/")
    def index() -> str:
        return _page(None)

    @desk.get("/c/<uuid:conversation_id>")
    def conversation(conversation_id: UUID) -> str:
        return _page(str(conversation_id))

    @desk.get("/sent")
    @desk.get("/sent/<name>")
    def sent(name: str | None = None) -> str:
        if not doors.demo:
            abort(404)
        raw = doors.sent_mail(name) if name is not None else None
        if name is not None and raw is None:
            abort(404)
        mails = doors.sent_mails()
        opened = screen.sent_mail(raw) if raw is not None else None
        return render_template("desk/sent.html", mails=mails, chosen=name, opened=opened, **_frame())

    @desk.get("/corrections")
    def corrections() -> str:
        return render_template("desk/corrections.html", pending=_pending(), **_frame())

    @desk.get("/kept")
    def kept() -> str:
        """Mail without a case: what could not be read, and what machines wrote about nothing that we know."""
        with doors.database.read() as session:
            unread = [screen.kept_row(each) for each in quarantined(session)]
            machines = [screen.kept_row(each) for each in unmatched(session)]
        return render_template("desk/kept.html", unread=unread, machines=machines, **_frame())

    @desk.get("/kept/<int:mail_id>/raw")
    def kept_mail(mail_id: int) -> Response:
        with doors.database.read() as session:
            raw = kept_raw(session, mail_id)
        if raw is None:
            abort(404)
        return _download(BytesIO(raw), f"mail-{mail_id}.eml")

    @desk.get("/mails/<int:mail_id>/original")
    def original(mail_id: int) -> Response:
        """A mail as it came, with the files that are not kept by themselves."""
        with doors.database.read() as session:
            raw = mail_raw(session, mail_id)
        if raw is None:
            abort(404)
        return _download(BytesIO(raw), f"mail-{mail_id}.eml")

    @desk.get("/files/<int:attachment_id>")
    def file(attachment_id: int) -> Any:
        with doors.database.read() as session:
            found = attachment(session, attachment_id)
        if found is None or found.digest is None:
            abort(404)
        path = doors.files.path(found.digest)
        if path is None:
            flash("file.gone")
            return redirect(url_for("desk.original", mail_id=found.mail_id))
        return _download(path, found.name)

    @desk.post("/kept/<int:mail_id>/retry")
    def retry_kept(mail_id: int) -> Any:
        with doors.database.begin() as session:
            done = read_again(session, mail_id)
        flash("kept.retried" if done else "kept.gone")
        return redirect(url_for("desk.kept"))

    @desk.post("/kept/<int:mail_id>/open")
    def open_kept(mail_id: int) -> Any:
        case_id = doors.open_kept(mail_id)
        if case_id is None:
            flash("kept.gone")
            return redirect(url_for("desk.kept"))
        return redirect(url_for("desk.conversation", conversation_id=case_id))

    @desk.get("/stream")
    def stream() -> Any:
        if not streams.acquire(blocking=False):
            return {"error": "no stream is free; ask every few seconds"}, 503, {"Retry-After": "30"}
        response = Response(stream_changes(doors), mimetype="text/event-stream")
        response.call_on_close(streams.release)
        response.headers["X-Accel-Buffering"] = "no"
        return response

    @desk.get("/api/list")
    def listing() -> dict[str, Any]:
        shown = _lists(request.args.get("selected"))
        part = _part("desk/_list.html")
        return {
            "views": part("views_nav", shown["views"], shown["words"]),
            "list": part(
                "conversation_list", shown["items"], shown["view"], request.args.get("selected"), shown["words"]
            ),
            "waiting": shown["waiting"],
        }

    @desk.get("/api/notices")
    def notices() -> dict[str, str]:
        return {
            "html": _part("desk/_notices.html")(
                "notices", doors.content_mistakes(), rasa_up(), _words(), mailbox_alarms(), _quarantined()
            )
        }

    @desk.get("/api/conversations/<uuid:conversation_id>")
    def look(conversation_id: UUID) -> dict[str, Any]:
        after = request.args.get("after", 0, int)
        before = request.args.get("before", None, int)
        shown = _conversation(str(conversation_id), after=max(0, after), before=before)
        part = _part("desk/_conversation.html")
        told = shown["words"]
        return {
            "head": part("head", shown, told),
            "events": part("events", shown["bubbles"], told),
            "composer": part("composer", shown, told),
            "side": _part("desk/_customer.html")("customer", shown, told),
            "title": shown["title"],
            "last": shown["last"],
            "complete": shown["complete"],
            "first": shown["first"],
            "earlier": shown["earlier"],
            "mails": {each.mail_id: part("sending", each, told) for each in shown["sendings"]},
            "leaving": any(each.state == "leaving" for each in shown["sendings"]),
        }

    @desk.post("/api/conversations/<uuid:conversation_id>/claim")
    def claim(conversation_id: UUID) -> Any:
        def act(session: Session, found: Conversation) -> None:
            if not claim_conversation(session, found.id, me().id) and not _mine(found):
                raise Refused(_too_late(session, found))

        return _act(conversation_id, act)

    @desk.post("/api/conversations/<uuid:conversation_id>/take")
    def take(conversation_id: UUID) -> Any:
        """Take over what the assistant has (a chat, a closed conversation, a machine mail)."""

        def act(session: Session, found: Conversation) -> None:
            promise = Promise(queue_position(session, found.id), 0, None)
            if found.owner == Owner.BOT:
                escalate(session, found.id, reason="agent", promise=promise)
            if not claim_conversation(session, found.id, me().id) and not _mine(found):
                raise Refused(_too_late(session, load(session, found.id)))

        return _act(conversation_id, act)

    @desk.post("/api/conversations/<uuid:conversation_id>/release")
    def give_back(conversation_id: UUID) -> Any:
        def act(session: Session, found: Conversation) -> None:
            if not release(session, found.id, me().id) and found.owner != Owner.QUEUE:
                raise Refused(_too_late(session, found))

        return _act(conversation_id, act)

    @desk.post("/api/conversations/<uuid:conversation_id>/close")
    def end(conversation_id: UUID) -> Any:
        try:
            seen = Closing.model_validate(request.get_json()).seen
        except ValidationError:
            abort(400)

        def act(session: Session, found: Conversation) -> None:
            if not close(session, found.id, me().id, seen=seen) and found.owner != Owner.BOT:
                raise Refused(_words()("refused.unseen") if _mine(found) else _too_late(session, found))

        return _act(conversation_id, act)

    @desk.post("/api/conversations/<uuid:conversation_id>/reply")
    def reply(conversation_id: UUID) -> Any:
        try:
            wanted = Reply.model_validate(request.get_json())
        except ValidationError:
            return {"error": "invalid", "message": _words()("reply.invalid")}, 422
        text = wanted.text.strip()
        if not text:
            return {"error": "empty", "message": _words()("reply.empty")}, 422
        key = str(wanted.client_id)
        with doors.database.read() as session:
            found = load(session, str(conversation_id))
            case = mail_case(session, found.id) if found.channel == Channel.MAIL else None
        composed = None
        if case is not None:
            # A header is one line, whatever was pasted into the field.
            subject = " ".join(wanted.subject.split()) or screen.reply_subject(found.subject or "")
            try:
                composed = doors.compose(found, case.mail, me().name, subject, text)
            except ValueError as error:
                message = _words()("reply.bad_address", address=found.contact or "", error=error)
                return {"error": "address", "message": message}, 422

        def act(session: Session, found: Conversation) -> dict[str, str]:
            if composed is None:
                said = answer(session, found.id, me().id, text, client_id=key)
            else:
                said = send_answer(
                    session,
                    found.id,
                    me().id,
                    key=key,
                    text=text,
                    message_id=composed.message_id,
                    recipient=composed.recipient,
                    raw=composed.raw,
                )
            if said is None:
                raise Refused(_too_late(session, found))
            # The answer stands whether or not the conversation can be closed; sent again, it may be closed already.
            if wanted.close and not close(session, found.id, me().id, seen=wanted.seen) and _mine(found):
                return {"kept_open": _words()("reply.kept_open")}
            return {}

        return _act(conversation_id, act)

    @desk.post("/api/conversations/<uuid:conversation_id>/mails/<int:mail_id>/resend")
    def resend(conversation_id: UUID, mail_id: int) -> Any:
        """Send a mail of ours that did not leave, or of which that is not certain, once more."""
        return _decide_mail(conversation_id, mail_id, send_again)

    @desk.post("/api/conversations/<uuid:conversation_id>/mails/<int:mail_id>/settle")
    def settle(conversation_id: UUID, mail_id: int) -> Any:
        """Take a mail of which that is not certain as sent."""
        return _decide_mail(conversation_id, mail_id, take_as_sent)

    @desk.post("/api/conversations/<uuid:conversation_id>/corrections")
    def correct(conversation_id: UUID) -> Any:
        """Note what was misunderstood; answers with what now stands below the message (`html`)."""
        told = _words()
        try:
            wanted = Correcting.model_validate(request.get_json())
        except ValidationError:
            return {"error": "invalid", "message": told("correct.invalid")}, 422
        titles = _titles()
        known = titles if wanted.kind is CorrectionKind.ANSWER else doors.motives
        if wanted.correct not in known and not (wanted.correct is None and wanted.kind is CorrectionKind.ANSWER):
            return {"error": "invalid", "message": told("correct.invalid")}, 422
        try:
            with doors.database.read() as session:
                found = misread(session, str(conversation_id), wanted.number, wanted.kind)
            if found.predicted is None and found.channel == Channel.CHAT:
                # The models are asked outside of the transaction: nobody else's message waits for them.
                found = replace(found, predicted=doors.understood(found.text, found.language))
            with doors.database.begin() as session:
                row = record_correction(session, found, wanted.correct, me().id)
                waiting = count_pending_corrections(session)
        except NotCorrectable:
            return {"error": "invalid", "message": told("correct.invalid")}, 422
        except AlreadyReviewed:
            return {"error": "refused", "message": told("correct.reviewed")}, 409
        shown = screen.correcting(told, row.kind, row.event_number, row.predicted, row, titles)
        html = _part("desk/_corrections.html")("correcting", shown, told)
        return {"ok": True, "state": row.state, "html": html, "waiting": waiting}

    @desk.get("/api/corrections")
    def pending() -> dict[str, Any]:
        return {"corrections": [asdict(each) for each in _pending()]}

    @desk.post("/api/corrections/<int:correction_id>/accept")
    def accept(correction_id: int) -> Any:
        try:
            wanted = Acceptance.model_validate(request.get_json())
        except ValidationError:
            return {"error": "invalid", "message": _words()("review.invalid")}, 422
        try:
            with doors.database.begin() as session:
                done = accept_correction(
                    session,
                    correction_id,
                    me().id,
                    correct=wanted.correct,
                    text=wanted.text,
                    subject=wanted.subject,
                )
        except ValueError:
            return {"error": "empty", "message": _words()("review.empty")}, 422
        return _reviewed(correction_id, done)

    @desk.post("/api/corrections/<int:correction_id>/refuse")
    def refuse(correction_id: int) -> Any:
        try:
            wanted = Refusal.model_validate(request.get_json())
        except ValidationError:
            return {"error": "invalid", "message": _words()("review.invalid")}, 422
        with doors.database.begin() as session:
            done = refuse_correction(session, correction_id, me().id, correct=wanted.correct)
        return _reviewed(correction_id, done)

    @desk.errorhandler(UnknownConversation)
    def unknown(_error: UnknownConversation) -> Any:
        if is_call():
            return {"error": "unknown", "message": _words()("error.unknown")}, 404
        flash("error.unknown")
        return redirect(url_for("desk.index"))

    @desk.errorhandler(404)
    @desk.errorhandler(400)
    def bad(error: HTTPException) -> Any:
        if is_call():
            return {"error": error.name}, error.code or 400
        return render_template("desk/error.html", code=error.code, **_frame()), error.code or 400

    @desk.context_processor
    def texts() -> dict[str, Any]:
        return {"t": _words(), "demo": doors.demo}

    @desk.after_request
    def headers(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", CSP)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Referrer-Policy", "same-origin")
        if request.endpoint != "desk.static":
            response.headers["Cache-Control"] = "no-store"
        return response

    def _act(conversation_id: UUID, act: Callable[[Session, Conversation], dict[str, str] | None]) -> Any:
        """One act of this agent in one transaction, with what it has to say; 409 with a sentence when it came too late."""
        try:
            with doors.database.begin() as session:
                said = act(session, load(session, str(conversation_id)))
        except Refused as refused:
            return {"error": "refused", "message": refused.message}, 409
        return {"ok": True, **(said or {})}

    def _decide_mail(conversation_id: UUID, mail_id: int, decide: Callable[[Session, int], bool]) -> Any:
        def act(session: Session, found: Conversation) -> None:
            if mail_id not in outgoing(session, found.id):
                abort(404)
            if not decide(session, mail_id):
                raise Refused(_words()("mail.decided"))

        return _act(conversation_id, act)

    def _quarantined() -> int:
        with doors.database.read() as session:
            return count_quarantined(session)

    def _reviewed(correction_id: int, done: bool) -> Any:
        """A review's answer: 409 with a sentence when somebody else was first, or the correction has been changed since."""
        with doors.database.read() as session:
            row = session.get(Correction, correction_id)
            if row is None:
                abort(404)
            waiting = count_pending_corrections(session)
            reviewer = agent_name(session, row.reviewed_by) if row.reviewed_by is not None else ""
        if done:
            return {"ok": True, "waiting": waiting}
        told = _words()
        late = row.state != CorrectionState.PENDING
        message = told(f"review.late.{row.state}", agent=reviewer) if late else told("review.changed")
        return {"error": "refused", "message": message}, 409

    def _titles() -> dict[str, str]:
        """The FAQ's entries: slug -> title in the agent's language."""
        return {entry.slug: entry.title for entry in doors.faq_entries(_words().language)}

    def _pending() -> list[screen.PendingCorrection]:
        told, titles = _words(), _titles()
        with doors.database.read() as session:
            rows = pending_corrections(session)
            return [screen.pending_correction(told, row, agent_name(session, row.agent_id), titles) for row in rows]

    def _too_late(session: Session, found: Conversation) -> str:
        if found.owner == Owner.AGENT and found.agent_id is not None and found.agent_id != me().id:
            return _words()("refused.taken", agent=agent_name(session, found.agent_id))
        return _words()(f"refused.{found.owner}")

    def _page(conversation_id: str | None) -> str:
        shown = _conversation(conversation_id) if conversation_id is not None else None
        choices = {"motives": doors.motives, "entries": _titles()}
        return render_template("desk/desk.html", shown=shown, **choices, **_lists(conversation_id), **_frame())

    def _frame() -> dict[str, Any]:
        with doors.database.read() as session:
            to_review = count_pending_corrections(session)
            in_quarantine = count_quarantined(session)
        return {
            "to_review": to_review,
            "in_quarantine": in_quarantine,
            "me": me(),
            "mistakes": doors.content_mistakes(),
            "rasa_up": rasa_up(),
            "mailbox_alarms": mailbox_alarms(),
        }

    def _lists(selected: str | None) -> dict[str, Any]:
        view = _chosen_view()
        told, now = _words(), utc_now()
        with doors.database.read() as session:
            rows = list_conversations(session, view, me().id, now=now)
            counts = count_conversations(session, me().id, now=now)
        return {
            "view": view.value,
            "views": screen.views_nav(told, counts, view),
            "items": [screen.list_item(told, row, now, me().id) for row in rows],
            "waiting": counts[View.QUEUE],
            "selected": selected,
            "words": told,
        }

    def _conversation(conversation_id: str, *, after: int = 0, before: int | None = None) -> dict[str, Any]:
        told, now = _words(), utc_now()
        with doors.database.read() as session:
            found = load(session, conversation_id)
            panel = customer_panel(session, found, doors.zone)
            case = mail_case(session, conversation_id) if found.channel == Channel.MAIL else None
            talk = transcript(session, conversation_id, after=after, before=before)
            previous = one_line(session, conversation_id, after) if after else None
            ours = outgoing(session, conversation_id)
            trouble = trouble_with(session, found.contact)
            holder = agent_name(session, found.agent_id) if found.agent_id is not None else None
            corrected = corrections_of(session, conversation_id)
        if case is not None and case.draft and not case.answered and _mine(found) and not after:
            case = replace(case, draft=doors.redraft(case.mail) or case.draft)
        title = screen.customer_title(told, panel)
        motive = first_motive(case.sorting) if case else None
        last = talk.lines[-1].number if talk.lines else after
        return {
            "id": found.id,
            "conversation": found,
            "title": title,
            "state": screen.state_of(found),
            "mine": _mine(found),
            "holder": holder,
            "waits": _wait(told, found, now),
            "motive": told.motive(motive) if motive else None,
            "sender_name": case.sorting.get("from_name") if case else None,
            "bubbles": screen.bubbles(told, talk.lines, previous, now, doors.html, title, corrected, _titles()),
            "last": last,
            "complete": last >= found.last_number or before is not None,
            "first": talk.lines[0].number if talk.lines else 0,
            "earlier": talk.earlier,
            "panel": panel,
            "sorting": screen.sorting_card(told, case.sorting) if case else None,
            "composer": screen.composer(told, found, case, me().id, holder, trouble),
            "sendings": [screen.sending(told, each) for each in ours.values()],
            "case_name": screen.case_name(found.id) if case else None,
            "others": [screen.list_item(told, row, now, me().id) for row in panel.earlier],
            "view": _chosen_view().value,
            "words": told,
        }

    def _words() -> Words:
        return words(choose(request.accept_languages), doors.zone)

    return desk


def _download(content: Path | BytesIO, name: str) -> Response:
    """What a stranger sent, to be saved and never shown: whatever type it claims, nothing of it may run in the desk."""
    response = send_file(content, mimetype="application/octet-stream", as_attachment=True, download_name=name)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def _mine(conversation: Conversation) -> bool:
    return conversation.owner == Owner.AGENT and conversation.agent_id == me().id


def _chosen_view() -> View:
    wanted = request.args.get("view", View.QUEUE.value)
    return View(wanted) if wanted in set(View) else View.QUEUE


def _wait(told: Words, conversation: Conversation, now: datetime) -> str | None:
    queued = conversation.owner == Owner.QUEUE and conversation.queued_at is not None
    return told.duration(now - conversation.queued_at) if queued and conversation.queued_at else None


def _part(template: str) -> Callable[..., str]:
    """The macros of a template file: `_part(file)(name, *arguments)` is HTML."""

    def render(name: str, *arguments: Any) -> str:
        return str(get_template_attribute(template, name)(*arguments)).strip()

    return render


def _remembered(ask: Callable[[], bool], seconds: float) -> Callable[[], bool]:
    """`ask`, but at most once in `seconds`: every open desk wants to know."""
    lock = threading.Lock()
    known: dict[str, Any] = {"at": float("-inf"), "is": True}

    def look() -> bool:
        # While one request asks (a hanging Rasa takes its time to be given up), the others go by what was known.
        if time.monotonic() - known["at"] > seconds and lock.acquire(blocking=False):
            try:
                known["is"] = ask()
                known["at"] = time.monotonic()
            finally:
                lock.release()
        return bool(known["is"])

    return look
