"""Signing in: agents by login and password, a session cookie, and CSRF tokens on everything that changes something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.blueprints import BlueprintSetupState
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from desk.agents import agent_by_id, log_in
from desk.console.doors import ConsoleDoors

OPEN_TO_ALL = {"desk.login", "desk.static"}


@dataclass(frozen=True)
class SignedIn(UserMixin):  # type: ignore[misc]
    """The agent at this browser."""

    id: int
    name: str


class LoginForm(FlaskForm):  # type: ignore[misc]
    login = StringField(validators=[InputRequired(), Length(max=80)])
    password = PasswordField(validators=[InputRequired(), Length(max=200)])


def me() -> SignedIn:
    """The agent who sent this request."""
    agent: SignedIn = current_user._get_current_object()
    return agent


def guard(desk: Blueprint, doors: ConsoleDoors) -> None:
    """Let only signed-in agents in, and only with a CSRF token on requests that change something; add login and logout."""
    manager = LoginManager()
    manager.login_view = "desk.login"
    csrf = CSRFProtect()

    @manager.user_loader  # type: ignore[untyped-decorator]
    def load_agent(agent_id: str) -> SignedIn | None:
        with doors.database.read() as rows:
            agent = agent_by_id(rows, int(agent_id))
        return SignedIn(agent.id, agent.name) if agent else None

    @desk.record_once
    def prepare_app(state: BlueprintSetupState) -> None:
        config = state.app.config
        config["SESSION_COOKIE_HTTPONLY"] = True
        config["SESSION_COOKIE_SAMESITE"] = config["SESSION_COOKIE_SAMESITE"] or "Lax"
        # The app's other routes authenticate by bearer token, which no foreign page can send: only the desk asks for CSRF
        # tokens. A token lives as long as its session: an agent's page may stand open all day.
        config.setdefault("WTF_CSRF_CHECK_DEFAULT", False)
        config.setdefault("WTF_CSRF_TIME_LIMIT", None)
        manager.init_app(state.app)
        csrf.init_app(state.app)

    @desk.before_request
    def only_agents() -> Any:
        if request.endpoint not in OPEN_TO_ALL and not current_user.is_authenticated:
            if is_call():
                return {"error": "signed_out"}, 401
            return redirect(url_for("desk.login", next=request.full_path.rstrip("?")))
        csrf.protect()
        return None

    @desk.errorhandler(CSRFError)
    def no_token(_error: CSRFError) -> Any:
        if is_call():
            return {"error": "csrf"}, 400
        flash("login.again")
        return redirect(url_for("desk.login"))

    @desk.errorhandler(429)
    def too_many_tries(error: HTTPException) -> Any:
        return _login_page(LoginForm(), "login.too_many"), 429, {"Retry-After": "60"}

    @desk.route("/login", methods=["GET", "POST"])
    def login() -> Any:
        if current_user.is_authenticated:
            return redirect(_safe_next())
        form = LoginForm()
        if request.method == "GET":
            return _login_page(form, None)
        agent = None
        if form.validate_on_submit():
            with doors.database.read() as rows:
                agent = log_in(rows, form.login.data.strip(), form.password.data)
        if agent is None:
            return _login_page(form, "login.wrong"), 401
        # Nothing that stood in the cookie before the login survives it.
        session.clear()
        session.permanent = True
        login_user(SignedIn(agent.id, agent.name))
        return redirect(_safe_next())

    @desk.post("/logout")
    def logout() -> Any:
        logout_user()
        session.clear()
        return redirect(url_for("desk.login"))


def is_call() -> bool:
    """Whether a script of ours sent this request, which reads JSON, not pages."""
    return "/api/" in request.path or request.path.endswith("/stream")


def _login_page(form: LoginForm, mistake: str | None) -> str:
    return render_template("desk/login.html", form=form, mistake=mistake, next=request.values.get("next", ""))


def _safe_next() -> str:
    """Where to go after the login: a page of the desk, whatever the address said."""
    home = url_for("desk.index")
    wanted = request.values.get("next", "")
    plain = wanted.isprintable() and "\\" not in wanted and "/../" not in wanted
    return wanted if plain and wanted.startswith(home) else home
