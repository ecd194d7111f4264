"""The commands with a Chroma server: `index` beside a server, `doctor`, and what they say once it is gone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import structlog

from agent.settings import RetrievalSettings, Settings
from retrieval.chroma_server import ServerStores
from retrieval.encoder import FloatArray
from retrieval.errors import SettingsError
from retrieval.vectors import EMBEDDED
from tests.chroma_process import ChromaProcess
from ui.cli import main
from ui.wiring import make_stores

FILMS = Path(__file__).parents[1] / "agent" / "data" / "films30.jsonl"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("CHATALOGUE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("CHATALOGUE_LLM__ENGINE", "off")
    monkeypatch.setenv("CHATALOGUE_SERVER__PORT", "0")
    monkeypatch.chdir(tmp_path)
    for room in ("ui.wiring", "retrieval.encoder"):
        monkeypatch.setattr(f"{room}.SentenceEncoder", lambda *_, **__: CountingEncoder())


class CountingEncoder:
    """Vectors by the letters of a text: loaded at once."""

    name = "counting"
    dim = 26

    def encode(self, texts: Sequence[str]) -> FloatArray:
        counts = [[1.0 + text.casefold().count(chr(ord("a") + n)) for n in range(26)] for text in texts]
        vectors = np.array(counts, dtype=np.float32)
        unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def test_the_settings_choose_the_store() -> None:
    def chosen(url: str) -> object:
        return make_stores(Settings(retrieval=RetrievalSettings(chroma_url=url)))

    assert chosen("") is EMBEDDED
    assert isinstance(chosen("http://chroma:8000"), ServerStores)
    with pytest.raises(SettingsError, match="CHATALOGUE_RETRIEVAL__CHROMA_URL"):
        chosen("chroma:8000")


def test_a_catalogue_on_a_chroma_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["chatalogue", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        structlog.reset_defaults()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    def findings() -> dict[str, tuple[str, str]]:
        return {one["check"]: (one["level"], one["detail"]) for one in json.loads(run("doctor", "--json")[1])}

    (tmp_path / "help").mkdir()
    (tmp_path / "help" / "returns.md").write_text("# Returns\n\nThirty days.\n", encoding="utf-8")
    with ChromaProcess(tmp_path / "chroma") as chroma:
        monkeypatch.setenv("CHATALOGUE_RETRIEVAL__CHROMA_URL", chroma.url)
        code, _, said = run("index", FILMS, "--articles", tmp_path / "help")
        assert code == 0, said
        kinds = {name.rpartition("-")[0]: rows for name, rows in chroma.collections().items()}
        assert kinds == {"default-index-000001": 30, "default-articles-000001": 1}
        found = findings()
        assert found["Chroma"][0] == found["catalogue"][0] == "ok"
        assert f"{chroma.url} answers, version 1." in found["Chroma"][1]

        chroma.kill()
        found = findings()
        assert (found["Chroma"][0], found["catalogue"][0]) == ("problem", "warning")
        assert "cannot be reached" in found["Chroma"][1]
        assert "is scanned without Chroma" in found["catalogue"][1]
        assert run("recommend", "a film about space")[0] == 0  # beside a server it never needed Chroma
        code, out, said = run("index", FILMS)
        assert (code, out) == (1, "")
        assert said.count("\n") == 1
        assert "start it, or correct CHATALOGUE_RETRIEVAL__CHROMA_URL" in said
