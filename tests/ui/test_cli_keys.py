"""`chatalogue keys` and `chatalogue webhooks` as an operator types them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from pydantic import SecretStr

from agent.api.auth import key_id_of
from agent.log.keys import KEY_PATTERN
from agent.log.outbox import Outbox
from agent.log.store import EventLog
from agent.settings import ServerSettings, Settings
from retrieval.errors import SettingsError
from ui.cli import main
from ui.commands.importing import only_key_id
from ui.serve import check_address, has_stored_keys

Run: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command's exit code, stdout and stderr, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chatalogue", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return called


def test_the_life_of_a_key(run: Run) -> None:
    assert "no key yet" in run("keys", "list")[1]
    code, out, err = run(
        "keys", "create", "shop", "--scope", "chat", "--scope", "users", "--days", "30", "--turns", "5"
    )
    secret = out.strip()
    assert (code, bool(KEY_PATTERN.fullmatch(secret))) == (0, True)
    assert secret not in err
    (key,) = json.loads(run("keys", "list", "--json")[1])
    assert (key["team"], key["scopes"], key["state"], key["turns_per_day"]) == ("shop", ["chat", "users"], "live", 5)
    assert secret.split("_")[2] not in json.dumps(key)
    code, out, err = run("keys", "rotate", key["id"], "--grace", "2", "--json")
    made = json.loads(out)
    assert (made["team"], made["scopes"], made["turns_per_day"]) == ("shop", ["chat", "users"], 5)
    assert "2 more hours" in err
    assert "revoked" in run("keys", "revoke", made["id"])[1]
    states = {one["id"]: one["state"] for one in json.loads(run("keys", "list", "--json")[1])}
    assert states == {key["id"]: "replaced", made["id"]: "revoked"}
    for wrong in (
        ("revoke", "nobody"),
        ("rotate", made["id"]),
        ("create", "Not A Name"),
        ("create", "x", "--scope", "root"),
    ):
        code, out, err = run("keys", *wrong)
        assert (code, out, err.count("\n"), err.startswith("chatalogue: ")) == (1, "", 1, True)


def test_a_key_opens_the_server_to_the_network(run: Run, tmp_path: Path) -> None:
    server = ServerSettings(host="0.0.0.0", port=0)  # noqa: S104
    settings = Settings(data_dir=tmp_path / "var", server=server)

    def stored() -> bool:
        return has_stored_keys(settings)

    with pytest.raises(SettingsError, match="keys create"):
        check_address(server, stored)
    secret = run("keys", "create", "shop")[1].strip()
    check_address(server, stored)
    run("keys", "revoke", secret.split("_")[1])
    with pytest.raises(SettingsError, match="keys create"):
        check_address(server, stored)


def test_whose_customers_an_import_brings(run: Run, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var")
    assert only_key_id(settings) == ""
    run("keys", "create", "shop")
    run("keys", "create", "shop")
    assert only_key_id(settings) == "team:shop"
    run("keys", "create", "desk", "--scope", "handoff")
    with pytest.raises(SettingsError, match="--team"):
        only_key_id(settings)
    assert only_key_id(settings, "desk") == "team:desk"
    with pytest.raises(SettingsError, match="'late'"):
        only_key_id(settings, "late")


def test_a_team_takes_over_the_customers_of_a_key(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", '["old secret"]')
    assert run("keys", "create", "shop", "--takes-over", "abc")[0] == 1
    assert run("keys", "create", "shop", "--takes-over", key_id_of("old secret"))[0] == 0
    settings = Settings(data_dir=tmp_path / "var", server=ServerSettings(api_keys=(SecretStr("old secret"),)))
    assert only_key_id(settings) == only_key_id(settings, "shop") == key_id_of("old secret")


def test_a_team_takes_over_those_who_came_without_a_key(run: Run, tmp_path: Path) -> None:
    assert run("keys", "create", "shop", "--takes-over", "local")[0] == 0
    assert only_key_id(Settings(data_dir=tmp_path / "var"), "shop") == ""


def test_webhooks(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = "https://hooks.example.com/in?token=planted"
    code, out, err = run("webhooks", "add", url)
    assert (code, out, "CHATALOGUE_SERVER__WEBHOOKS__HOSTS" in err) == (1, "", True)
    monkeypatch.setenv("CHATALOGUE_SERVER__WEBHOOKS__HOSTS", '["hooks.example.com"]')
    assert run("webhooks", "add", url, "--kind", "nothing")[0] == 1
    code, out, err = run("webhooks", "add", url, "--kind", "handoff.requested")
    assert (code, out.startswith("whsec_")) == (0, True)
    (found,) = json.loads(run("webhooks", "list", "--json")[1])
    assert (found["host"], found["kinds"]) == ("hooks.example.com", ["handoff.requested"])
    assert "planted" not in json.dumps(found)
    log = EventLog.open(None, tmp_path / "var")
    try:
        assert Outbox(log.database).enqueue("default", "handoff.requested", {}) == 1
    finally:
        log.close()
    (delivery,) = json.loads(run("webhooks", "deliveries", "--state", "pending", "--json")[1])
    assert delivery["kind"] == "handoff.requested"
    assert "No delivery is dead" in run("webhooks", "deliveries")[1]
    assert run("webhooks", "deliveries", "--state", "lost")[0] == 1
    assert run("webhooks", "retry", delivery["id"])[0] == 1
    assert run("webhooks", "remove", found["id"])[0] == 0
    assert run("webhooks", "remove", found["id"])[0] == 1
    assert json.loads(run("webhooks", "list", "--json")[1]) == []
