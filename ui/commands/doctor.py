"""`chatalogue doctor`: finds what would go wrong before a customer does; each finding says what to do."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer
from rich.console import Console

from retrieval.errors import ChatalogueError
from ui.cli import foreign_package
from ui.commands.output import print_result
from ui.logs import configure_logs

if TYPE_CHECKING:  # at run time only once it is known that `agent` is ours
    from agent.settings import LoadedSettings, Settings

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
"""The versions that were tested together; not there where a wheel is installed."""
SHOWN_VERSIONS = 5

FREE_GIB = 2.0
"""Less free space than this is worth a warning: an index is built beside the old one."""
ENGINE_SECONDS = 120.0

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check; `detail` is a sentence, with the next step where something is wrong."""

    check: str
    level: Level
    detail: str


def run(as_json: bool, config: Path | None) -> None:
    """Run every check; exit code 1 when there is a problem."""
    configure_logs(logging.CRITICAL)  # what an opened index logs is in its finding
    findings = []
    for finding in examine(config):
        findings.append(finding)
        if not as_json:
            colour = {"ok": "green", "warning": "yellow", "problem": "red"}[finding.level]
            Console().print(f"[{colour}]{finding.level:8}[/] {finding.check}: ", end="")
            Console().print(finding.detail, markup=False, highlight=False)
    if as_json:
        print_result(json.dumps([asdict(finding) for finding in findings], indent=2))
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def examine(config: Path | None) -> Iterator[Finding]:
    """All checks, cheap ones first; settings that cannot be read end the list."""
    yield _python()
    if said := foreign_package():
        yield Finding("packages", "problem", said)
        return
    from agent.settings import load_settings

    yield _packages()
    yield _versions()
    yield _compiler()
    try:
        loaded = load_settings(config)
    except ChatalogueError as error:
        yield Finding("settings", "problem", str(error))
        return
    yield _settings(loaded)
    settings = loaded.settings
    for check, examine_one in _CHECKS:
        try:
            yield Finding(check, *examine_one(settings))
        except ChatalogueError as error:
            yield Finding(check, "problem", str(error))


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.prefix == sys.base_prefix:
        detail = f"Python {version} outside a virtual environment: other programs' packages may hide ours."
        return Finding("python", "warning", detail)
    return Finding("python", "ok", f"Python {version} in an environment of its own.")


def _packages() -> Finding:
    """All must be there, and the traps of this stack must not (a torchvision of another build)."""
    missing = [name for name in ("torch", "transformers", "chromadb", "gradio", "peft") if not _importable(name)]
    if missing:
        return Finding("packages", "problem", f"{', '.join(missing)} missing; run `make serve` or install the extra.")
    if _importable("torchvision"):
        import torch

        if torch.version.cuda is None:
            detail = "torchvision stands beside the CPU build of torch and may break imports; uninstall it."
            return Finding("packages", "warning", detail)
    return Finding("packages", "ok", "all there.")


def _importable(name: str) -> bool:
    return find_spec(name) is not None


def _versions() -> Finding:
    """What is installed in another version than the one that was tested; what is not installed is no finding."""
    if not CONSTRAINTS.is_file():
        return Finding("versions", "ok", "no constraints.txt to compare with.")
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pins = [line.strip().split("==") for line in lines if "==" in line and not line.startswith("#")]
    others = []
    for name, wanted in pins:
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue
        if installed.partition("+")[0] != wanted.partition("+")[0]:
            others.append(f"{name} {installed} (tested: {wanted})")
    if not others:
        return Finding("versions", "ok", "as in constraints.txt.")
    more = f" and {len(others) - SHOWN_VERSIONS} more" if len(others) > SHOWN_VERSIONS else ""
    detail = f"{', '.join(others[:SHOWN_VERSIONS])}{more}; install with `pip install -c constraints.txt`."
    return Finding("versions", "warning", detail)


def _compiler() -> Finding:
    if any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        return Finding("compiler", "ok", "there is one.")
    detail = "There is no C compiler (cc), which some packages need to install; on Debian `apt-get install gcc`."
    return Finding("compiler", "warning", detail)


def _settings(loaded: LoadedSettings) -> Finding:
    changed = [key for key, origin in loaded.origins.items() if origin != "default"]
    return Finding("settings", "ok", f"{len(changed)} set: {', '.join(changed)}." if changed else "all defaults.")


def _disk(settings: Settings) -> tuple[Level, str]:
    from agent.datadir import DataDirectory

    DataDirectory(settings.data_dir).create()
    free = shutil.disk_usage(settings.data_dir).free / 2**30
    if free < FREE_GIB:
        return "warning", f"{free:.1f} GiB free where the data lies; free some space before the next index."
    return "ok", f"{str(settings.data_dir)!r} can be written, {free:.0f} GiB free."


def _address(settings: Settings) -> tuple[Level, str]:
    from agent.datadir import DataDirectory
    from ui.serve import check_address, has_stored_keys

    process = DataDirectory(settings.data_dir).server_process()
    if process is not None:
        own = settings.server.model_copy(update={"port": 0})  # its own port is in use, by right
        check_address(own, lambda: has_stored_keys(settings))
        return "ok", f"a server is running on this data directory (process {process})."
    check_address(settings.server, lambda: has_stored_keys(settings))
    return "ok", f"{settings.server.host}:{settings.server.port} is free."


def _database(settings: Settings) -> tuple[Level, str]:
    from agent.log.opening import open_log

    log = open_log(settings)
    try:
        log.ping()
        live = log.live_index(settings.tenant)
    finally:
        log.close()
    if live is None:
        return "ok", "can be written; no catalogue yet, `serve` will build the demo shop."
    return "ok", f"can be written; index {live} is live."


def _sealing(settings: Settings) -> tuple[Level, str]:
    """Where the keys are that seal secrets and contact data; `database` has opened what they sealed."""
    from agent.secrecy import make_sealer

    state = make_sealer(settings).state()
    kept = repr(str(state.file))
    if state.readable_by_others:
        return "warning", f"other users of this machine can read {kept}; chmod 600 it."
    if state.source == "settings":
        return "ok", f"{state.n_keys} key{'' if state.n_keys == 1 else 's'}, the first one from the settings seals."
    if state.source == "file":
        return "ok", f"by the key in {kept}: it protects copies of the database, not of the whole data directory."
    return "ok", f"a key will be made in {kept} at first use."


def _catalogue(settings: Settings) -> tuple[Level, str]:
    """Open the live index as a server would: with Chroma, unless a server holds it."""
    from agent.datadir import DataDirectory
    from ui.wiring import make_parts

    data = DataDirectory(settings.data_dir)
    data.create()
    with ExitStack() as stack:
        running = data.server_process() is not None
        if not running:
            stack.enter_context(data.server_lock())
        parts = make_parts(settings, exact_only=running)
        stack.callback(parts.log.close)
        if parts.log.live_index(settings.tenant) is None:
            return "ok", "none yet; `serve` will build the demo shop."
        parts.shops.refresh(settings.tenant)
        shop = parts.shops.current(settings.tenant)
        stack.callback(shop.close)
        if shop.problem:
            return "warning", f"index {shop.index_name} opens and is scanned without Chroma. {shop.problem}"
        articles = "no help articles" if shop.articles is None else "help articles"
        return "ok", f"index {shop.index_name} opens: {len(shop.table)} items, {articles}."


def _ranker(settings: Settings) -> tuple[Level, str]:
    from agent.datadir import DataDirectory
    from agent.learning.ranking_store import read_ranker
    from agent.log.opening import open_log

    log = open_log(settings)
    try:
        live = log.live_ranker(settings.tenant)
    finally:
        log.close()
    if live is None:
        return "ok", "the linear one; `chatalogue learn` makes one from the shop's own talks."
    read_ranker(DataDirectory(settings.data_dir).rankers(settings.tenant) / live)
    return "ok", f"{live} is whole."


def _chroma(settings: Settings) -> tuple[Level, str]:
    """The server that the settings name answers; `catalogue` looks at what it holds."""
    from retrieval.chroma_server import ServerStores

    if not settings.retrieval.chroma_url:
        return "ok", "embedded in the data directory."
    server = ServerStores(settings.retrieval.chroma_url, settings.retrieval.chroma_token.get_secret_value())
    return "ok", f"the server at {server} answers, version {server.version()}."


def _encoder(settings: Settings) -> tuple[Level, str]:
    from retrieval.encoder import SentenceEncoder

    encoder = SentenceEncoder(settings.retrieval.encoder, dtype=settings.retrieval.dtype)
    vector = encoder.encode(["a test"])[0]
    return "ok", f"{encoder.name} gives {len(vector)} numbers a text."


def _vllm(settings: Settings) -> tuple[Level, str]:
    """Where it is, and whether it is the engine; an address that is refused is said here."""
    from agent.llm.vllm.finding import check_url, find_vllm_python, use_vllm

    vllm, engine = settings.llm.vllm, settings.llm.engine
    if engine not in ("auto", "vllm"):
        return "ok", f"not used: the engine is {engine!r}."
    if vllm.url:
        return "ok", f"the server at {check_url(vllm.url)} is used."
    if engine == "auto" and not use_vllm(vllm):
        return "ok", "not used: there is no URL, and no GPU with an installed vLLM."
    return "ok", f"a server is started with {str(find_vllm_python(vllm))!r}; its log is in the data directory."


def _engine(settings: Settings) -> tuple[Level, str]:
    from agent.llm.protocol import Limits, Message, Prompt
    from agent.llm.vllm.engine import VLLMEngine
    from ui.wiring import make_engine, make_keeper, started

    if settings.llm.engine == "off":
        return "warning", "switched off: answers come from rules and templates."
    made = make_engine(settings)
    seconds = settings.llm.vllm.start_timeout_s if isinstance(made, VLLMEngine) else ENGINE_SECONDS

    keeper = make_keeper(settings, made)

    async def probe() -> tuple[Level, str]:
        async with started(made, keeper) as engine, asyncio.timeout(seconds):
            while engine.status().state == "starting":
                await asyncio.sleep(0.1)
            if (status := engine.status()).state != "ready":
                raise ChatalogueError(status.detail)
            await keeper.settled()
            prompt = Prompt((Message("user", "Say hello."),))
            async for chunk in engine.stream(prompt, Limits(max_tokens=4)):
                if chunk.finish:
                    if keeper.problem:
                        return "warning", keeper.problem
                    adapter = engine.status().adapter
                    return (
                        "ok",
                        f"{status.model} answers, with {f'the adapter {adapter}' if adapter else 'no adapter'}.",
                    )
            return "ok", f"{status.model} is ready but said nothing."

    try:
        return asyncio.run(probe())
    except TimeoutError:
        return "problem", f"{settings.llm.model!r} did not answer in {seconds:.0f} s; set CHATALOGUE_LLM__MODEL."


_CHECKS: tuple[tuple[str, Callable[[Settings], tuple[Level, str]]], ...] = (
    ("data directory", _disk),
    ("address", _address),
    ("database", _database),
    ("sealing", _sealing),
    ("encoder", _encoder),
    ("Chroma", _chroma),
    ("catalogue", _catalogue),
    ("ranker", _ranker),
    ("vllm", _vllm),
    ("language model", _engine),
)
