"""The mail policy of comptoir.toml: written briefly, refused clearly."""

from __future__ import annotations

from pathlib import Path

import pytest

import triage
from service.mail_policy import as_triage_policy, known_motives
from service.settings import Settings, SettingsError, load_settings


def loaded(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> Settings:
    (folder / "comptoir.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("COMPTOIR_CONFIG", str(folder / "comptoir.toml"))
    monkeypatch.setenv("COMPTOIR_DATA_DIR", str(folder))
    return load_settings()


def test_a_rule_is_an_action_or_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = loaded(
        monkeypatch,
        tmp_path,
        """
        [mail]
        authserv_id = "mx.shop.example"
        [mail.policy]
        acknowledge = true
        default = "draft"
        [mail.policy.motives]
        complaint = "queue"
        [mail.policy.motives.order_tracking]
        action = "answer"
        error_rate = 0.02
        hours = "closed"
        team = "Logistics"
        """,
    )
    assert as_triage_policy(settings.mail.policy) == triage.Policy(
        {"complaint": triage.Rule("queue"), "order_tracking": triage.Rule("answer", 0.02, "closed", "Logistics")},
        triage.Rule("draft"),
        acknowledge=True,
    )


def test_the_defaults_answer_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = as_triage_policy(loaded(monkeypatch, tmp_path, "").mail.policy)
    assert {policy.rule(motive).action for motive in known_motives()} == {"draft"}
    assert not policy.acknowledge


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[mail.policy.motives]\norder_trackin = 'answer'",
            ("mail.policy.motives", '"order_trackin"', "order_tracking"),
        ),
        (
            "[mail.policy.motives]\nrefund = 'reply'",
            ("mail.policy.motives.refund.action", "'answer', 'draft' or 'queue'"),
        ),
        ("[mail.policy]\ndefault = 'reply'", ("mail.policy.default.action", "'answer', 'draft' or 'queue'")),
        (
            "[mail.policy.motives.refund]\nerror_rate = 2",
            ("mail.policy.motives.refund.error_rate", "less than or equal"),
        ),
        ("[mail.policy.motives.refund]\nhour = 'open'", ("mail.policy.motives.refund.hour", "no such setting")),
        ("[mail.policy]\nper_hour = 0", ("mail.policy.per_hour", "greater than or equal to 1")),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, told: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as refused:
        loaded(monkeypatch, tmp_path, text)
    for each in told:
        assert each in str(refused.value)
    assert "comptoir.toml" in str(refused.value)


def test_every_motive_of_the_taxonomy_has_a_paragraph() -> None:
    templates = {path.name.split(".")[0] for path in (Path(triage.__file__).parent / "templates" / "fr").iterdir()}
    assert set(known_motives()) <= templates


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[mail]\nrelay_start_tls = true", "mail.relay_start_tls: there is no such setting"),
        ("[hours]\nholiday = ['2026-12-25']", "hours.holiday: there is no such setting"),
        (
            "[[mail.mailboxes]]\nname='a'\nhost='h'\nuser='u'\npassword='hunter2'\nfoldr='K'",
            "mail.mailboxes.0.foldr: there",
        ),
        ("[mail.attachments]\nrefuse = []", "mail.attachments.refuse: there is no such setting"),
        ("[limits]\nlogin = '10 per minut'", 'limits.login: "10 per minut" is no limit; write it as "20 per minute'),
        ("[mail]\naddress = 'contact'", 'mail.address: "contact" is no address'),
        ("[mail]\nlisten_port = 99999", "mail.listen_port"),
        ("[hours]\nzone = 'Europe/Pariss'", 'hours.zone: "Europe/Pariss" is no time zone; write it as "Europe/Paris"'),
        ("[hours]\nzone = '../etc'", "is no time zone"),
        ("[hours]\nweek = {0 = '09:00'}", 'write it as "09:00-19:00"'),
        ("[hours]\nweek = {7 = '09:00-10:00'}", "7 is no weekday"),
        ("demo = false\n[mail]\nrelay_host = 'smtp.example'", "set mail.address"),
        ("worker_threads = 0", "worker_threads"),
        ("turn_timeout_seconds = -1", "turn_timeout_seconds"),
        ("database_url = 'nonsense'", 'database_url: "nonsense" is no database URL; write it as'),
    ],
)
def test_a_mistake_in_the_settings_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(SettingsError) as told:
        loaded(monkeypatch, tmp_path, text)
    assert says in str(told.value)
    assert "hunter2" not in str(told.value)


def test_a_settings_file_that_is_not_there_starts_no_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COMPTOIR_CONFIG", str(tmp_path / "typo.toml"))
    with pytest.raises(SettingsError, match=r"typo\.toml: there is no such file; correct COMPTOIR_CONFIG"):
        load_settings()


def test_a_data_folder_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COMPTOIR_DATA_DIR", str(tmp_path / "file" / "data"))
    with pytest.raises(SettingsError, match=r"data_dir: .* cannot be made"):
        load_settings()
