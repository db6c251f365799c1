"""The agents: who may sit at the desk."""

from __future__ import annotations

import re

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from desk.tables import Agent

SHORTEST_PASSWORD = 8

_HASHER = PasswordHasher()
# Verified when the login is unknown, so that both failures take the same time.
_NOBODY = _HASHER.hash("nobody has this password")


def add_agent(session: Session, login: str, name: str, password: str) -> Agent:
    """Create an agent; the password is kept as an argon2id hash. Raises ValueError, naming the remedy, when the login is taken
    or cannot be typed, the name is empty, or the password has fewer than eight letters."""
    if not re.fullmatch(r"[\w.@+-]{1,80}", login):
        raise ValueError(f'agent login "{login}": write it with letters, digits and . @ + - _ only, at most 80')
    if not name.strip():
        raise ValueError("the agent needs a name: customers read it")
    if len(password) < SHORTEST_PASSWORD:
        raise ValueError(f"the password has {len(password)} letters; choose one with at least {SHORTEST_PASSWORD}")
    if session.scalar(select(Agent.id).where(Agent.login == login)) is not None:
        raise ValueError(f'agent login "{login}" is taken; choose another')
    agent = Agent(login=login, name=name, password_hash=_HASHER.hash(password))
    session.add(agent)
    session.flush()
    return agent


def log_in(session: Session, login: str, password: str) -> Agent | None:
    """The active agent with this login and password, or None."""
    agent = session.scalar(select(Agent).where(Agent.login == login, Agent.active))
    try:
        _HASHER.verify(agent.password_hash if agent else _NOBODY, password)
    except VerificationError:
        return None
    return agent


def agent_by_id(session: Session, agent_id: int) -> Agent | None:
    agent = session.get(Agent, agent_id)
    return agent if agent is not None and agent.active else None


def count_agents(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Agent).where(Agent.active)) or 0
