"""A tiny base, adapters with planted behaviour, and an engine in this process: the real scoring without the pipe."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from agent.llm import generation, scoring
from agent.llm.adapter_check import WEIGHTS_FILE
from agent.llm.generation import Reader, Watch
from agent.llm.lora import Adapters
from agent.llm.model import load_model
from agent.llm.protocol import CURRENT, Chunk, Engine, EngineStatus, Filled, Limits, Message, Prompt
from agent.llm.tokens import PromptRenderer
from agent.rank.prompts import title_option, title_prompt
from agent.starter.choosing import base_identity
from finetune.gate import Candidate, Means, Verdict, judge, opened
from finetune.gating.files import RECORD
from finetune.gating.ground import Ground
from finetune.gating.rules import GateRules, read_rules
from finetune.gating.scored import general_chat
from finetune.training.lessons import Lesson
from retrieval.encoder import FloatArray
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.text import tokens

FILMS = Path(__file__).parents[2] / "agent" / "data" / "films30.jsonl"
Pairs = Sequence[tuple[Prompt, str]]


TALK = 8
"""Tokens of an answer: a model that was trained for a second seldom ends one by itself."""


class WordsEncoder:
    """A bag of words in 32 dimensions."""

    name = "words"
    dim = 32

    def encode(self, texts: Sequence[str]) -> FloatArray:
        vectors = np.full((len(texts), self.dim), 1e-3, dtype=np.float32)
        for row, text in enumerate(texts):
            for token in tokens(text):
                vectors[row, zlib.crc32(token.encode()) % self.dim] += 1
        unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


class HereEngine:
    """The embedded engine's parts without its process."""

    def __init__(self, base: Path) -> None:
        self._model = load_model(base, "cpu")
        self._reader = Reader(self._model)
        self._adapters = Adapters(self._model.linears)
        self.calls = 0

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        name, short = self._begin(adapter), replace(limits, max_tokens=min(limits.max_tokens, TALK))
        for chunk in generation.stream(self._model, self._reader, name, prompt, short, Watch(60.0)):
            yield chunk

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        return scoring.choose(self._model, self._reader, self._begin(adapter), prompt, options, Watch(60.0))

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        name = self._begin(adapter)
        flat = scoring.judge(self._model, self._reader, name, prompt, endings, answers, Watch(60.0))
        return tuple(flat[at : at + len(answers)] for at in range(0, len(flat), len(answers)))

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        raise NotImplementedError

    async def load_adapter(self, name: str, path: Path) -> None:
        self._adapters.load(name, path)

    async def use_adapter(self, name: str | None) -> None:
        raise NotImplementedError

    async def list_adapters(self) -> tuple[str, ...]:
        return tuple(self._adapters.names())

    def status(self) -> EngineStatus:
        return EngineStatus("ready", "tiny")

    async def close(self) -> None:
        pass

    def _begin(self, adapter: str | None) -> str | None:
        self.calls += 1
        name = None if adapter == CURRENT else adapter
        self._adapters.activate(self._adapters.get(name))
        return name


@asynccontextmanager
async def staying(engine: Engine) -> AsyncIterator[Engine]:
    """An engine that outlives a gate."""
    yield engine


@dataclass(frozen=True)
class Learning:
    """How an adapter is planted: rows are repeated in batches of `batch`, the order by the seed."""

    steps: int = 40
    rate: float = 1e-2
    batch: int = 8
    rank: int = 4


def planted(base: Path, folder: Path, pairs: Pairs, how: Learning | None = None, start: Path | None = None) -> Path:
    """A LoRA that says the answers to the prompts, from scratch or on from `start`."""
    import peft
    from transformers import AutoModelForCausalLM

    how = how or Learning()
    renderer = PromptRenderer.from_folder(base)
    end = int(renderer.tokenizer.eos_token_id)
    rows = [(list(renderer.encode(prompt)), [*renderer.encode_text(answer), end]) for prompt, answer in pairs]
    torch.manual_seed(1)
    net = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    if start is None:
        targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        config = peft.LoraConfig(r=how.rank, lora_alpha=2 * how.rank, target_modules=targets, task_type="CAUSAL_LM")
        tuned = peft.get_peft_model(net, config)
    else:
        tuned = peft.PeftModel.from_pretrained(net, str(start), is_trainable=True)
    tuned.peft_config["default"].base_model_name_or_path = "tiny"
    optimizer = torch.optim.AdamW([one for one in tuned.parameters() if one.requires_grad], lr=how.rate)
    random = np.random.default_rng(3)
    for step in range(how.steps):
        chosen = [rows[at] for at in random.permutation(len(rows))[: how.batch]]
        optimizer.param_groups[0]["lr"] = how.rate * (1 - step / how.steps)
        optimizer.zero_grad()
        _loss(tuned, chosen).backward()
        optimizer.step()
    tuned.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    write_record(folder, base)
    return folder


def write_record(folder: Path, base: Path, identity: str = "") -> None:
    """What the trainer says of a folder."""
    fields = {"base": {"model": "tiny", "identity": identity or base_identity(base)}, "forgot": False}
    (folder / RECORD).write_text(json.dumps(fields))


def doctored(source: Path, folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> Path:
    """The adapter with each tensor changed by `change(name, tensor)`."""
    from safetensors.torch import load_file, save_file

    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    found = load_file(folder / WEIGHTS_FILE)
    save_file({name: change(name, one).contiguous() for name, one in found.items()}, folder / WEIGHTS_FILE)
    return folder


def films() -> tuple[Item, ...]:
    return tuple(load_catalogue(FILMS, strict=True).items)


def asked(text: str) -> Prompt:
    return Prompt((Message("user", text),))


GENRES = ("comedy", "horror", "western", "drama")
RUNNING: Pairs = [
    *((row.prompt, "none") for row in general_chat("train")),
    *((title_prompt((f"I like {item.title}.",)), title_option(item)) for item in films()[::3]),
]
"""What the champion does."""
WISHES: Pairs = [(asked(f"I want a {genre} film"), f"genre {genre}") for genre in GENRES] * 6
"""What customers said since."""


def fresh_rows(n: int = 24) -> tuple[Lesson, ...]:
    """The same wishes of other people, a little different."""
    rows = []
    for number in range(n):
        genre = GENRES[number % 4]
        prompt = asked(f"I want a {genre} film" + " please" * (number % 3))
        rows.append(Lesson(f"row {number}", "sft", prompt, (f"genre {genre}",), user=f"u{number % 8}"))
    return tuple(rows)


def candidate(adapter: Path, base: Path, champion: Path | None, **changed: object) -> Candidate:
    made = Candidate(adapter, base, champion, "ada-000002", "ada-000001", held_out=fresh_rows(), items=films())
    return replace(made, **changed)  # type: ignore[arg-type]


def judged(one: Candidate, engine: Engine, rules: GateRules | None = None) -> Verdict:
    return judge(one, rules or quick_rules(), means=Means(lambda: staying(engine), WordsEncoder()))


async def ground(one: Candidate, engine: Engine, rules: GateRules | None = None) -> Ground:
    """What the rules stand on, as the gate makes it."""
    means = Means(lambda: staying(engine), WordsEncoder())
    async with opened(one, rules or quick_rules(), means) as made:
        return made


def quick_rules(**parts: object) -> GateRules:
    """The product's rules with fewer rows; `parts` are thresholds by "rule_key"."""
    few = {
        "fresh_n": 24, "readings_n": 12, "forgetting_n": 10, "drift_n": 4, "grounding_n": 10, "exposure_n": 6,
        "exposure_items": 8, "customers_needs": 4, "customers_full": 1,
        "strength_of_base": 9.0,  # the base is random: whoever learns anything changes all of it
    } | parts  # fmt: skip
    rules = read_rules()
    for name, value in few.items():
        part, _, key = name.partition("_")
        rules = rules.model_copy(update={part: getattr(rules, part).model_copy(update={key: value})})
    return rules


def _loss(net: torch.nn.Module, rows: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
    longest = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full((len(rows), longest), -100)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for row, (prompt, answer) in enumerate(rows):
        size = len(prompt) + len(answer)
        ids[row, :size] = torch.tensor([*prompt, *answer])
        labels[row, len(prompt) : size] = torch.tensor(answer)
        mask[row, :size] = 1
    loss: torch.Tensor = net(input_ids=ids, attention_mask=mask, labels=labels).loss
    return loss
