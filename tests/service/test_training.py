"""Training says what is wrong with a file before it spends minutes on the others."""

from pathlib import Path

import pytest
from rich.console import Console

from service import training
from service.training_error import TrainingError
from tests.service.conftest import settings_for


def test_a_broken_file_is_named_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mails" / "fr").mkdir(parents=True)
    (tmp_path / "mails" / "fr" / "m1.jsonl").write_text('{"body": "où est mon colis"\n', encoding="utf-8")
    monkeypatch.setattr(training, "MAILS_DIR", tmp_path / "mails")
    settings = settings_for(tmp_path, artifacts_dir=tmp_path / "artifacts")

    with pytest.raises(TrainingError, match=r"m1\.jsonl:1: not JSON"):
        training.train_all(settings, Console(quiet=True))

    assert not (tmp_path / "artifacts").exists()
