"""A start trains only what has changed, and knows that without loading a model."""

import shutil
import subprocess
import sys
from pathlib import Path

from service.settings import ROOT
from service.training_stamp import is_trained, mark_trained, training_stamp
from tests.service.conftest import settings_for


def test_any_change_of_the_content_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "faq_kb" / "content", tmp_path / "content")
    (tmp_path / "artifacts").mkdir()
    settings = settings_for(tmp_path, content_dir=tmp_path / "content", artifacts_dir=tmp_path / "artifacts")
    assert not is_trained(settings)
    mark_trained(settings, training_stamp(settings))
    assert is_trained(settings)
    file = tmp_path / "content" / "fr" / "livraison.md"
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert not is_trained(settings)


def test_another_error_rate_is_noticed(tmp_path: Path) -> None:
    assert training_stamp(settings_for(tmp_path)) != training_stamp(settings_for(tmp_path, error_rate=0.02))


def test_the_start_loads_no_model_by_itself() -> None:
    loaded = "import sys, service.serve; print(sorted({'torch', 'sklearn', 'faiss'} & sys.modules.keys()))"
    shown = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"
