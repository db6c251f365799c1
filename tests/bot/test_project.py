"""Rasa's project files and our code name the same things."""

from __future__ import annotations

import csv
import io
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

import bot
from bot import Reply, rasa_process
from bot.forms import FORM_SLOTS, LAST_ORDER
from bot.replies import RASA_LOST
from store import Database
from tests.bot.world import TestWorld

PROJECT = rasa_process.PROJECT
DOMAIN: dict[str, Any] = yaml.safe_load((PROJECT / "domain.yml").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((PROJECT / "data" / "rules.yml").read_text())["rules"]

MOTIVES = """order_tracking delivery_problem return refund cancel_order change_order change_address damaged_or_wrong_item
missing_item payment_billing invoice account_access product_question promotion_voucher place_order complaint privacy_request
newsletter_unsubscribe other"""
ACTS = """talk_to_human subscribe_alerts faq greet thanks goodbye affirm deny provide_order_number provide_email out_of_scope
nlu_fallback"""


def test_every_motive_and_act_is_an_intent_with_a_rule() -> None:
    intents = set(f"{MOTIVES} {ACTS}".split())
    assert set(DOMAIN["intents"]) == intents
    assert {step["intent"] for rule in RULES for step in rule["steps"] if "intent" in step} == intents


def test_every_example_file_speaks_of_known_intents() -> None:
    for file in sorted((PROJECT / "data" / "nlu").rglob("*.yml")):
        for block in yaml.safe_load(file.read_text())["nlu"]:
            assert block["intent"] in DOMAIN["intents"], file


def test_the_executor_has_exactly_the_domains_actions(database: Database) -> None:
    assert set(TestWorld(database).executor().actions) == set(DOMAIN["actions"])


def test_every_slot_that_the_forms_use_is_in_the_domain_and_none_else() -> None:
    assert set(DOMAIN["slots"]) == {*FORM_SLOTS, LAST_ORDER}


def test_rasa_renders_no_text_and_names_only_known_responses() -> None:
    for name, variants in DOMAIN["responses"].items():
        assert [set(variant) for variant in variants] == [{"custom"}], name
        assert variants[0]["custom"]["response"] in {*(reply.value for reply in Reply), RASA_LOST}, name


def test_endpoints_name_a_database_of_their_own_and_keep_the_token_private(tmp_path: Path) -> None:
    file = tmp_path / "run" / "endpoints.yml"
    bot.write_endpoints(
        file,
        nlu_url="http://127.0.0.1:1/nlu",
        action_url="http://127.0.0.1:1/actions",
        tracker_db=tmp_path / "rasa" / "tracker.db",
        token="secret",
    )
    written = yaml.safe_load(file.read_text())
    assert written["tracker_store"]["db"] == str(tmp_path / "rasa" / "tracker.db")
    assert written["nlu"] == {"url": "http://127.0.0.1:1/nlu", "token": "secret"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    bot.write_endpoints(file, nlu_url="n", action_url="a", tracker_db="postgresql://u:p@h/rasa")
    assert yaml.safe_load(file.read_text())["tracker_store"]["url"] == "postgresql://u:p@h/rasa"


def test_rasa_listens_on_loopback_with_the_rest_channel_alone(tmp_path: Path) -> None:
    command = bot.rasa_command(Path("py"), port=5005, models=tmp_path, endpoints=tmp_path / "endpoints.yml")
    line = " ".join(command.argv)
    assert "--interface 127.0.0.1 --port 5005" in line
    assert "--enable-api" not in line
    assert list(yaml.safe_load((PROJECT / "credentials.yml").read_text())) == ["rest"]
    assert command.env["RASA_TELEMETRY_ENABLED"] == "false"


def test_a_model_that_is_up_to_date_is_not_trained_again(tmp_path: Path) -> None:
    (tmp_path / rasa_process.MODEL).write_bytes(b"model")
    (tmp_path / f"{rasa_process.MODEL}.sha256").write_text(rasa_process._fingerprint())
    assert bot.train_dialogue(Path("/no/python"), tmp_path).read_bytes() == b"model"


def test_a_failed_training_leaves_no_model_and_says_why(tmp_path: Path) -> None:
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho 'rules contradict'; exit 1\n")
    failing.chmod(0o755)
    with pytest.raises(bot.TrainingFailed, match="rules contradict"):
        bot.train_dialogue(failing, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_the_taxonomy_beside_the_checkout_is_the_one_here() -> None:
    shared = PROJECT.parent.parent / "shared" / "motives.csv"
    if not shared.exists():
        pytest.skip(f"{shared} is not here")
    rows = csv.DictReader(io.StringIO(shared.read_text()))
    assert {row["motive"] for row in rows} == set(MOTIVES.split())
