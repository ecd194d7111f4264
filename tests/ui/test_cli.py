"""The command line: results on stdout, one sentence for each error, nothing heavy before it is needed."""

import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from mcp import Client, StdioServerParameters

from agent.datadir import DataDirectory
from agent.learning.ranker_live import LiveRankers
from agent.llm.protocol import Message, Prompt
from agent.log.store import EventLog
from agent.secrecy import KEY_FILE
from finetune.memory import ReplayMemory
from finetune.training.lessons import Lesson
from ui.cli import main

FILMS = Path(__file__).parents[1] / "agent" / "data" / "films30.jsonl"
COMMANDS = ["", "serve", "index", "chat", "recommend", "replay", "backup", "doctor", "config", "config show"]
COMMANDS += ["models", "models fetch", "import", "import interactions", "learn", "rankers list", "rankers rollback"]
COMMANDS += ["describe", "bench describe", "starter", "adapters list", "adapters promote", "adapters rollback"]
COMMANDS += ["offpolicy", "bench offpolicy", "gate"]
COMMANDS += ["bench", "bench retrieval", "bench compare", "bench ablation", "bench ratings"]
HEAVY = ["torch", "gradio", "chromadb", "transformers", "sentence_transformers", "sqlalchemy", "fastapi", "numpy"]


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The installed program's entry point, in this process."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["chatalogue", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Result(int(ended.value.code or 0), said.out, said.err)

    yield call
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("CHATALOGUE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("CHATALOGUE_LLM__ENGINE", "off")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("os.nice", lambda by: by)  # the tests after this one are in a hurry
    monkeypatch.chdir(tmp_path)


def sentence(result: Result) -> str:
    """An error is exit code 1, one line on stderr, nothing on stdout."""
    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith("chatalogue: ")
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    return result.err.removeprefix("chatalogue: ").strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.code == 0
    assert "Usage:" in result.out
    assert "--help" in result.out


def test_help_imports_nothing_heavy_and_answers_at_once() -> None:
    code = (
        "import sys, time; started = time.process_time()\n"
        "from ui.cli import main\n"
        "sys.argv = ['chatalogue', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
        "print('SECONDS', time.process_time() - started)\n"
    )
    times = []
    for _ in range(3):  # the machine may be busy with something else; processor time is steadier than the clock
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout  # noqa: S603
        assert "HEAVY []" in out
        times.append(float(out.rpartition("SECONDS")[2]))
    assert min(times) < 1.0


def test_without_a_command_it_shows_help(run: Run) -> None:
    result = run()
    assert "Usage:" in result.out + result.err


def test_an_unknown_command_or_option_is_a_usage_error(run: Run) -> None:
    assert run("dance").code == 2
    assert run("serve", "--prot", "1").code == 2
    assert run("serve", "--port", "99999").code == 2


def test_an_unknown_file_is_named(run: Run, tmp_path: Path) -> None:
    assert "no-films.csv" in sentence(run("index", tmp_path / "no-films.csv"))
    assert not (tmp_path / "var").exists()


def test_a_missing_settings_file_is_named(run: Run) -> None:
    assert "'none.toml' does not exist" in sentence(run("config", "show", "--config", "none.toml"))


def test_a_wrong_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_CHAT__ITEMS", "many")
    assert "'chat.items'" in sentence(run("config", "show"))


def test_config_show_masks_secrets_and_names_origins(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__API_KEYS", '["open-sesame"]')
    monkeypatch.setenv("CHATALOGUE_DATABASE__URL", "postgresql://user:open-sesame@db/log")
    for arguments in (["--json"], []):
        result = run("config", "show", *arguments)
        assert result.code == 0
        assert "open-sesame" not in result.out + result.err
        assert "CHATALOGUE_SERVER__API_KEYS" in result.out
    rows = {row["key"]: row for row in json.loads(run("config", "show", "--json").out)}
    assert rows["llm.engine"] == {"key": "llm.engine", "value": "off", "origin": "CHATALOGUE_LLM__ENGINE"}
    assert rows["server.port"]["origin"] == "default"


def test_serving_the_world_without_a_key_is_refused(run: Run, tmp_path: Path) -> None:
    assert "API key" in sentence(run("serve", "--host", "0.0.0.0"))  # noqa: S104
    assert not (tmp_path / "var").exists()


def test_the_mapping_can_be_shown_without_indexing(run: Run, tmp_path: Path) -> None:
    result = run("index", FILMS, "--show-mapping")
    assert result.code == 0
    assert "title" in result.out
    assert not (tmp_path / "var").exists()


def test_replay_wants_one_turn_or_a_span(run: Run) -> None:
    assert "either one turn id or --since" in sentence(run("replay"))
    assert "either one turn id or --since" in sentence(run("replay", "turn-1", "--since", "7d"))
    assert "'7 weeks' cannot be read" in sentence(run("replay", "--since", "7 weeks"))
    assert "'99999999999d'" in sentence(run("replay", "--since", "99999999999d"))


def test_backup_of_nothing_is_refused(run: Run, tmp_path: Path) -> None:
    assert "no data directory" in sentence(run("backup", tmp_path / "copy"))


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which the program has indexed the 30 films."""
    folder = tmp_path_factory.mktemp("shop")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CHATALOGUE_")}
    environment |= {"CHATALOGUE_DATA_DIR": str(folder / "var"), "CHATALOGUE_LLM__ENGINE": "off"}
    command = [sys.executable, "-c", "from ui.cli import main; main()", "index", str(FILMS), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)  # noqa: S603
    assert json.loads(done.stdout) == {"index": "000001", "items": 30, "rejected": []}
    assert "Catalogue" in done.stderr  # progress goes to stderr
    return folder / "var"


@pytest.fixture
def shop(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(indexed))
    return indexed


def recommended(run: Run, text: str) -> dict[str, Any]:
    result = run("recommend", text, "--json")
    assert result.code == 0, result.err
    assert "asynchronous generator" not in result.err  # the turn ends before its log is closed
    answer: dict[str, Any] = json.loads(result.out)  # nothing else on stdout: no log line, no bar
    return answer


def test_recommend_meets_every_hard_wish_and_repeats_itself(run: Run, shop: Path) -> None:
    answer = recommended(run, "a comedy under 16 euros")
    assert answer["v"] == 1
    assert answer["items"]
    for item in answer["items"]:
        assert "Comedy" in item["attributes"]["genre"]
        assert float(item["price"]["amount"]) < 16
    again = recommended(run, "a comedy under 16 euros")
    assert [item["id"] for item in again["items"]] == [item["id"] for item in answer["items"]]


def logged_turns(data_dir: Path) -> list[str]:
    log = EventLog.open(None, data_dir)
    try:
        return list(log.turns_since("default", datetime.now(UTC) - timedelta(days=1)))
    finally:
        log.close()


@pytest.mark.parametrize("command", [["recommend", "a comedy"], ["replay", "--since", "1d"]])
def test_no_network_is_fitted_where_nobody_has_a_name(
    run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(LiveRankers, "settle", lambda self, tenant: asked.append(self.with_tastes))
    assert run(*command).code == 0
    assert asked == [False]


def test_recommend_leaves_the_log_alone(run: Run, shop: Path) -> None:
    before = logged_turns(shop)
    recommended(run, "a comedy under 16 euros")
    assert logged_turns(shop) == before


@pytest.mark.parametrize("command", [["recommend", "a horror film"], ["chat"], ["replay", "--since", "1d"]])
def test_beside_a_server_the_chroma_store_is_not_opened(
    run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def refuse(folder: Path) -> None:
        raise AssertionError(f"{folder} belongs to the server")

    monkeypatch.setattr("retrieval.vectors._client", refuse)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a horror film\n"))
    result = run(*command)
    assert result.code == 0, result.err
    assert command[0] == "replay" or "https://" in result.out


def test_recommend_in_words_is_a_numbered_list(run: Run, shop: Path) -> None:
    result = run("recommend", "a horror film")
    assert result.code == 0
    assert "\n1. " in result.out
    assert "https://" in result.out


def test_chat_answers_and_shows_what_it_understood(run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("/wishes\na comedy under 16 euros\n/wishes\n/quit\nnever read\n"))
    result = run("chat")
    assert result.code == 0, result.err
    before, _, after = result.out.partition("1. ")
    assert "none yet" in before
    assert "https://" in after
    assert "hard: positive price lt 16.0" in after
    assert "{" not in result.err  # no log lines between question and answer


def test_chat_ends_with_its_input(run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run("chat").code == 0


def test_ctrl_c_at_the_prompt_ends_the_chat(shop: Path) -> None:
    # A job that a shell runs in the background, CI's perhaps, is born deaf to Ctrl-C: this process hears it again.
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{hear}; from ui.cli import main; main()", "chat"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as chat:  # noqa: S603
        assert chat.stdout is not None
        said = b""
        while not said.endswith(b"you> "):
            said += chat.stdout.read1(100)
        time.sleep(0.5)  # the prompt is written just before reading begins
        chat.send_signal(signal.SIGINT)
        try:
            assert chat.wait(120) == 130
        finally:
            chat.kill()


def test_a_backup_has_learned_intents_and_what_is_rehearsed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    var, copy = DataDirectory(tmp_path / "var"), DataDirectory(tmp_path / "copy")
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(var.root))
    intents = var.intents("default") / "int-000001"
    intents.mkdir(parents=True)
    (intents / "manifest.json").write_text("{}")
    memory = ReplayMemory()
    memory.offer([Lesson("row 1", "sft", Prompt((Message("user", "hello"),)), ("hi",), user="u", events=("e",))])
    memory.save(var.memory("default"))
    (var.memory("default") / "learned-ada-000001.json").write_text('{"rows": ["row 1"]}')
    (var.runs("default") / "ada-000002").mkdir(parents=True)
    result = run("backup", copy.root)
    assert result.code == 0, result.err
    assert "2 folders of" in result.out
    assert (copy.intents("default") / "int-000001" / "manifest.json").exists()
    assert ReplayMemory.load(copy.memory("default")).lessons == memory.lessons
    assert (copy.memory("default") / "learned-ada-000001.json").read_text() == '{"rows": ["row 1"]}'
    assert not copy.runs("default").exists()
    (memory_rows,) = var.memory("default").glob("rows-*.jsonl")
    memory_rows.write_text("damaged")
    assert "could not be copied" in sentence(run("backup", tmp_path / "second"))


def test_a_backup_can_be_lived_in_and_replayed(
    run: Run, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = logged_turns(shop)
    monkeypatch.setattr(sys, "stdin", io.StringIO("something tense in space\n"))
    assert run("chat").code == 0
    (turn_id,) = set(logged_turns(shop)) - set(before)
    copy = tmp_path / "copy"
    result = run("backup", copy)
    assert result.code == 0
    assert "1 folder of indexes" in result.out
    assert "is not empty" in sentence(run("backup", copy))
    assert "keep the copy as safe as the original" in result.out
    assert stat.S_IMODE((copy / KEY_FILE).stat().st_mode) == 0o600
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(copy))
    replayed = run("replay", turn_id, "--json")
    assert replayed.code == 0, replayed.err
    line = json.loads(replayed.out)
    assert line["turn_id"] == turn_id
    assert line["message"] == "something tense in space"
    assert line["same_items"] is True
    assert line["same_intent"] is True
    assert line["then"] == line["now"] != []
    everything = run("replay", "--since", "1d")
    assert everything.code == 0
    assert "turns offer the same items in the same order." in everything.out


def test_a_few_explored_lists_are_no_verdict(run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "'7 weeks' cannot be read" in sentence(run("offpolicy", "--since", "7 weeks"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("something tense in space\n"))
    assert run("chat").code == 0
    result = run("offpolicy", "--since", "1d", "--places", "2")
    assert result.code == 0, result.err
    assert "explored lists of" in result.out
    assert "No verdict:" in result.out
    told = json.loads(run("offpolicy", "--json").out)
    assert told["mean_weight"]["value"] == pytest.approx(1)  # what is live now is what was shown
    assert told["estimates"] == []
    assert told["refusal"]


def test_replaying_an_unknown_turn_is_one_sentence(run: Run, shop: Path) -> None:
    assert "turn-nowhere" in sentence(run("replay", "turn-nowhere"))


def test_doctor_finds_each_part_in_order(run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__PORT", "0")
    result = run("doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(result.out)}
    assert {"python", "packages", "settings", "data directory", "address", "database", "encoder"} <= set(findings)
    assert findings["database"]["detail"].endswith("is live.")
    assert "sealing.key" in findings["sealing"]["detail"]
    assert findings["language model"]["level"] == "warning"
    assert result.code == int(any(finding["level"] == "problem" for finding in findings.values()))


def found(run: Run) -> dict[str, dict[str, str]]:
    return {finding["check"]: finding for finding in json.loads(run("doctor", "--json").out)}


def test_doctor_finds_a_server_and_its_port_in_order(run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, DataDirectory(shop).server_lock():
        monkeypatch.setenv("CHATALOGUE_SERVER__PORT", str(server.getsockname()[1]))
        findings = found(run)
        assert findings["address"]["level"] == "ok"
        assert f"a server is running on this data directory (process {os.getpid()})" in findings["address"]["detail"]
        assert findings["catalogue"]["level"] == "ok"


def test_doctor_opens_the_live_index(run: Run, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "30 items" in found(run)["catalogue"]["detail"]
    broken = tmp_path / "broken"
    shutil.copytree(shop, broken)
    shutil.rmtree(broken / "index" / "default" / "000001" / "chroma")
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(broken))
    finding = found(run)["catalogue"]
    assert finding["level"] == "problem"
    assert "no Chroma store" in finding["detail"]


def test_doctor_finds_a_live_ranker_that_is_gone(
    run: Run, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "the linear one" in found(run)["ranker"]["detail"]
    broken = tmp_path / "broken"
    shutil.copytree(shop, broken)
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(broken))
    log = EventLog.open(None, broken)
    log.activate_ranker("default", "rnk-000001")
    log.close()
    finding = found(run)["ranker"]
    assert finding["level"] == "problem"
    assert "chatalogue rankers rollback" in finding["detail"]


def test_doctor_compares_versions_and_looks_for_a_compiler(
    run: Run, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = tmp_path / "constraints.txt"
    pins.write_text(f"# tested\ntyper==0.0.1\nrich=={version('rich')}\nnot-installed==1.0\n", encoding="utf-8")
    monkeypatch.setattr("ui.commands.doctor.CONSTRAINTS", pins)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    findings = found(run)
    assert findings["versions"]["level"] == findings["compiler"]["level"] == "warning"
    assert f"typer {version('typer')} (tested: 0.0.1);" in findings["versions"]["detail"]
    assert "rich" not in findings["versions"]["detail"]


@pytest.mark.parametrize("command", ["doctor --json", "recommend x"])
def test_a_package_of_the_same_name_is_found_out(tmp_path: Path, command: str) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "__init__.py").touch()
    root = Path(__file__).parents[2]
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]; from ui.cli import main; main()"
    command_line = [sys.executable, "-c", code, *command.split(" ")]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False, cwd=tmp_path)  # noqa: S603
    assert done.returncode == 1
    assert "Another package named 'agent'" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_says_what_is_wrong_with_the_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATALOGUE_SERVER__PROT", "1")
    result = run("doctor", "--json")
    assert result.code == 1
    assert json.loads(result.out)[-1]["detail"].startswith("The environment variable 'CHATALOGUE_SERVER__PROT'")


def test_a_package_that_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "retrieval.loading", None)
    monkeypatch.delitem(sys.modules, "ui.commands.index", raising=False)
    said = run("index", FILMS)
    assert said.code == 1
    assert "pip install 'chatalogue[serve]'" in said.err


def test_learn_says_that_there_is_too_little_and_changes_nothing(run: Run, shop: Path) -> None:
    result = run("learn")
    assert result.code == 0, result.err
    assert "too little to learn from: 0 lessons of 0 customers" in result.out
    assert "the linear ranker goes on" in result.out
    found = json.loads(run("learn", "--json", "--dry-run").out)["ranker"]
    assert (found["live"], found["new"], found["better"], found["metrics"]) == (None, False, False, None)
    assert run("rankers", "list").out == "The linear ranker is in use.\n"
    assert json.loads(run("rankers", "list", "--json").out) == {"live": None, "rankers": []}
    assert "linear ranker is in use" in sentence(run("rankers", "rollback"))


def test_a_rollback_to_what_is_not_there_says_so(run: Run, shop: Path) -> None:
    log = EventLog.open(None, shop)
    log.activate_ranker("default", "rnk-000002")
    log.close()
    out = run("rankers", "rollback").out
    assert "rnk-000002 is not there any more or cannot be read" in out
    assert "linear ranker is live again" in out


def test_learn_without_a_catalogue(run: Run) -> None:
    assert "chatalogue index FILE" in sentence(run("learn"))


async def test_mcp_talks_over_standard_input_and_output(shop: Path) -> None:
    """The real command, as another assistant starts it, and the protocol's official client."""
    command = [sys.executable, "-c", "from ui.cli import main; main()", "mcp"]
    server = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    async with Client(server, read_timeout_seconds=120) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} >= {"search", "recommend", "answer"}
        found = await client.call_tool("recommend", {"message": "a comedy under 15 euros"})
        assert found.structured_content["answer"]["items"]
        assert (await client.call_tool("item", {"id": "no-such-film"})).is_error
