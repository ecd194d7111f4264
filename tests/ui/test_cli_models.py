"""`chatalogue models fetch`: the weights, and a link that a server of its own can be pointed at."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.errors import BadRequest, ModelUnavailable
from ui.commands.models import point, run_fetch


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that passes for a model, and settings that name it."""
    folder = tmp_path / "elsewhere" / "small"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CHATALOGUE_LLM__MODEL", str(folder))
    return folder


def test_prints_the_folder_and_nothing_else(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_fetch(None, None)
    assert capsys.readouterr().out == f"{model}\n"


def test_the_link_leads_to_the_model_and_moves_with_it(model: Path, tmp_path: Path) -> None:
    models = tmp_path / "data" / "models"
    run_fetch("served", None)
    assert (models / "served").resolve() == model
    inside = models / "other-0123"
    inside.mkdir()
    point(models / "served", inside)
    assert (models / "served").readlink() == Path("other-0123"), "relative: the data may be mounted elsewhere"
    assert sorted(path.name for path in models.iterdir()) == ["other-0123", "served"]


def test_what_is_no_link_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    with pytest.raises(BadRequest, match="no link"):
        point(tmp_path / "kept", tmp_path)
    assert (tmp_path / "kept").is_dir()


@pytest.mark.parametrize("name", ["", "a/b", "/etc/x", ".."])
def test_a_link_is_a_name_and_no_path(name: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        run_fetch(name, None)
    assert not (tmp_path / "data").exists()


def test_without_a_model_there_is_no_link(model: Path, tmp_path: Path) -> None:
    (model / "config.json").unlink()
    with pytest.raises(ModelUnavailable):
        run_fetch("served", None)
    assert not (tmp_path / "data" / "models" / "served").exists()
