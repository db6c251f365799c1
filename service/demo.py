"""The demo's agents: who may sit at its desk."""

from sqlalchemy.orm import Session

from desk import add_agent, count_agents

DEMO_AGENTS = (("lea", "Léa Fontaine"), ("karim", "Karim Benali"))
DEMO_PASSWORD = "tournesol"


def add_demo_agents(session: Session) -> None:
    """Give an empty desk the demo's agents."""
    if count_agents(session) == 0:
        for login, name in DEMO_AGENTS:
            add_agent(session, login, name, DEMO_PASSWORD)
