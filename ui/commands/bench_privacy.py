"""`chatalogue bench privacy`: what differential privacy costs the next adapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from agent.settings import load_settings
from ui.bench.render_privacy import SECTION, privacy_lines
from ui.commands.bench_others import Other, run_other

if TYPE_CHECKING:
    from finetune.training.private_cost import PrivacyCost


@dataclass(frozen=True, slots=True)
class PrivacyCall:
    """The options as typed; `rate` 0: the recipe's."""

    out: Path
    people: int = 80
    visits: float = 6.0
    rate: float = 0.0
    threads: int = 0
    config: Path | None = None


def run_privacy(call: PrivacyCall) -> None:
    """Measure, put the figures into the benchmark file and print them.

    Raises:
        ChatalogueError: a package is missing, or the model's weights cannot be had.
    """
    run_other(Other(SECTION, f"privacy{_options(call)}", lambda: _measured(call), privacy_lines), call.out)


def _options(call: PrivacyCall) -> str:
    plain = PrivacyCall(call.out)
    given = [(name, getattr(call, name)) for name in ("people", "visits", "rate", "threads")]
    return "".join(f" --{name} {value:g}" for name, value in given if value != getattr(plain, name))


def _measured(call: PrivacyCall) -> PrivacyCost:
    from agent.datadir import DataDirectory
    from agent.llm.quiet import quiet_transformers
    from agent.llm.weights import resolve_model
    from agent.starter.choosing import choose_adapter
    from finetune.training.private_cost import CostPlan, measure_cost

    quiet_transformers()
    settings = load_settings(call.config).settings
    models = DataDirectory(settings.data_dir).models
    base = resolve_model(settings.llm.model, models)
    chosen = choose_adapter(settings.llm.adapter, settings.llm.model, models)
    plan = CostPlan(people=call.people, visits=call.visits, rate=call.rate, threads=call.threads)
    return measure_cost(base, settings.llm.model, None if chosen is None else chosen.folder, plan, _say)


def _say(line: str) -> None:
    """Progress, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
