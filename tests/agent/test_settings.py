"""Settings: where each value came from, and one sentence for each slip of the pen."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.settings import Settings, load_settings, show_settings
from retrieval.errors import SettingsError


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the developer's shell, no file of the working directory."""
    import os

    for name in os.environ:
        if name.upper().startswith("CHATALOGUE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "chatalogue.toml") -> Path:
    path = Path.cwd() / name
    path.write_text(text, encoding="utf-8")
    return path


def sentence(file: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    text = str(caught.value)
    assert text[0].isupper()
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_defaults_are_called_defaults() -> None:
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert str(loaded.settings.data_dir) == "var"
    assert loaded.settings.server.port == 7860


def test_each_value_says_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    write('tenant = "cinema"\n[server]\nport = 8000\nhost = "127.0.0.2"\n')
    monkeypatch.setenv("CHATALOGUE_SERVER__PORT", "9000")
    loaded = load_settings()
    assert (loaded.settings.server.port, loaded.settings.server.host) == (9000, "127.0.0.2")
    assert loaded.settings.tenant == "cinema"
    assert loaded.origins["server.port"] == "CHATALOGUE_SERVER__PORT"
    assert loaded.origins["server.host"] == loaded.origins["tenant"] == "chatalogue.toml"
    assert loaded.origins["llm.model"] == "default"


def test_the_variable_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('tenant = "here"')
    monkeypatch.setenv("CHATALOGUE_CONFIG", str(write('tenant = "there"', "other.toml")))
    assert load_settings().settings.tenant == "there"
    assert load_settings(Path("chatalogue.toml")).settings.tenant == "here"


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_LLM__ENGINE", "")
    assert load_settings().settings.llm.engine == "auto"


def test_lists_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", '["one", "two"]')
    keys = load_settings().settings.server.api_keys
    assert [key.get_secret_value() for key in keys] == ["one", "two"]
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", "one")
    assert "JSON" in sentence()


@pytest.mark.parametrize(("text", "key"), [("prot = 1", "prot"), ("[server]\nprot = 1", "server.prot")])
def test_an_unknown_key_is_named(text: str, key: str) -> None:
    write(text)
    said = sentence()
    assert repr(key) in said
    assert "chatalogue.toml" in said
    assert "does not exist" in said


def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__PROT", "1")
    assert "'CHATALOGUE_SERVER__PROT'" in sentence()


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "'no.toml'" in sentence(Path("no.toml"))
    monkeypatch.setenv("CHATALOGUE_CONFIG", "gone.toml")
    assert "'gone.toml'" in sentence()


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_named(content: bytes) -> None:
    Path("chatalogue.toml").write_bytes(content)
    assert "cannot be read as TOML" in sentence()


def test_a_value_that_does_not_fit_names_key_and_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[chat]\nitems = 99")
    assert "'chat.items' (from chatalogue.toml)" in sentence()
    monkeypatch.setenv("CHATALOGUE_CHAT__ITEMS", "many")
    assert "'chat.items' (from CHATALOGUE_CHAT__ITEMS)" in sentence()


def test_an_element_of_a_list_has_the_origin_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", "[7]")
    assert "(from CHATALOGUE_SERVER__API_KEYS)" in sentence()


def test_a_section_that_is_no_section_is_named() -> None:
    write("server = 3")
    assert "'server'" in sentence()


def test_secrets_are_masked_wherever_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", '["open-sesame"]')
    monkeypatch.setenv("CHATALOGUE_DATABASE__URL", "postgresql://user:open-sesame@db/log")
    loaded = load_settings()
    assert loaded.settings.database.url == SecretStr("postgresql://user:open-sesame@db/log")
    shown = json.dumps(show_settings(loaded)) + repr(loaded) + str(loaded.settings)
    assert "open-sesame" not in shown
    assert "**********" in shown


def test_a_secret_that_does_not_fit_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", '{"open-sesame": 1}')
    assert "open-sesame" not in sentence()
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", "open-sesame")
    assert "open-sesame" not in sentence()


def test_every_setting_is_shown_once() -> None:
    rows = show_settings(load_settings())
    keys = [key for key, _, _ in rows]
    assert len(keys) == len(set(keys))
    assert {"data_dir", "server.port", "chat.exploration", "chat.diversity", "support.articles"} <= set(keys)
