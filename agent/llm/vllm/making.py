"""The vLLM engine from its settings: whose server, and how adapters get into it."""

from __future__ import annotations

from pathlib import Path

from agent.llm.adapter_store import AdapterStore
from agent.llm.vllm.adapters import runtime_router
from agent.llm.vllm.backend import Backend, Place
from agent.llm.vllm.engine import VLLMEngine
from agent.llm.vllm.finding import find_vllm_python, use_vllm
from agent.llm.vllm.merged import merged_router
from agent.settings import LLMSettings, VLLMSettings
from retrieval.errors import SettingsError


def make_vllm_engine(llm: LLMSettings, models_dir: Path, folder: Path) -> VLLMEngine:
    """The engine, not started.

    Args:
        llm: the settings.
        models_dir: where converted and downloaded weights are kept.
        folder: where copies of adapters and the server's log are kept.

    Raises:
        SettingsError: the URL is public or none, there is no Python with vLLM, or the adapters cannot be had that way.
    """
    vllm = llm.vllm
    place = Place(url=vllm.url) if vllm.url else _place_of_ours(llm, folder)
    at_run_time = loads_at_run_time(vllm)
    store = AdapterStore(folder / "adapters")
    make_router = runtime_router(store, vllm) if at_run_time else merged_router(store)
    backend = Backend(llm.model, models_dir, vllm, place, lora=at_run_time, make_router=make_router)
    return VLLMEngine(llm.model, backend, at_once=vllm.max_num_seqs, max_queue=llm.max_queue)


def loads_at_run_time(vllm: VLLMSettings) -> bool:
    """Whether LoRA is loaded into the running server, rather than merged into the weights of a second one.

    Raises:
        SettingsError: a server given by URL cannot be started again with other weights.
    """
    if vllm.url and vllm.adapters == "merged":
        raise SettingsError(
            "CHATALOGUE_LLM__VLLM__ADAPTERS is 'merged', which needs a server of ours, but a URL is set; use 'runtime'."
        )
    return vllm.adapters == "runtime"


def check_trials(llm: LLMSettings) -> None:
    """An adapter on trial answers beside the champion; on merged weights its calls would fail and it be blamed for it.

    Raises:
        SettingsError: the engine answers with one adapter at a time.
    """
    if (llm.engine == "vllm" or (llm.engine == "auto" and use_vllm(llm.vllm))) and not loads_at_run_time(llm.vllm):
        raise SettingsError(
            "vLLM on merged weights has one adapter at a time, so none can be on trial; end one that is with "
            "`chatalogue adapters rollback` and set CHATALOGUE_LEARNING__PROMOTION to direct or manual, or set "
            "CHATALOGUE_LLM__VLLM__ADAPTERS=runtime."
        )


def _place_of_ours(llm: LLMSettings, folder: Path) -> Place:
    return Place(python=find_vllm_python(llm.vllm), threads=llm.threads, log_file=folder / "vllm.log")
