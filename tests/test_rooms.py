"""The house as it was designed: who may import whom, and nothing else."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "service": {"bot", "triage", "desk", "faq_kb", "shop", "models", "store"},
    "bot": {"faq_kb", "shop", "models"},
    "desk": {"shop", "store"},
    "triage": {"models"},
    "faq_kb": {"models"},
    "shop": {"store"},
    "models": set(),
    "store": set(),
}
SHAPELESS = {"utils", "helpers", "common", "manager", "base", "misc"}


def sources(room: str) -> list[Path]:
    return [path for path in (ROOT / room).rglob("*.py") if ".venv" not in path.parts]


def imported_rooms(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found & MAY_IMPORT.keys()


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_its_room_may(room: str) -> None:
    assert sources(room)
    for path in sources(room):
        foreign = imported_rooms(path) - MAY_IMPORT[room] - {room}
        assert not foreign, f"{path.relative_to(ROOT)} imports {', '.join(sorted(foreign))}"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_says_what_it_is_for(room: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8")))
    assert docstring
    assert len(docstring) > 80


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_module_has_a_shapeless_name(room: str) -> None:
    assert not {path.stem for path in sources(room)} & SHAPELESS
