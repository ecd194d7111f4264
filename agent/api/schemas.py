"""The bodies of `/v1/chat/completions` and `/v1/models`: OpenAI's shapes, and our one object beside them.

Fields that OpenAI has and we do not use are accepted and ignored. Knows nothing of how turns are run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
)
from pydantic_core import PydanticCustomError

from agent.answer import Answer, Citation, ShownItem, Usage
from agent.llm.protocol import Role
from agent.services import PastMessage

MODEL_ID: Final = "chatalogue"
MAX_ID_CHARS: Final = 256
"""Of a user's name or of an id in a request."""

RequestRole: TypeAlias = Literal["system", "developer", "user", "assistant", "tool", "function"]

# What the conversation takes an OpenAI role for. Tool calls and their results are left out: we never
# make any, so they come from another model that the client talked to before.
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _whole_characters(text: str) -> str:
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


Words: TypeAlias = Annotated[StrictStr, AfterValidator(_whole_characters)]
"""A string of a request. Half an emoji, which clients that cut a text by length do send, cannot be
stored or sent on: it becomes U+FFFD."""


class _Request(BaseModel):
    """Unknown fields are dropped: OpenAI's clients send many that mean nothing here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TextPart(_Request):
    """A content part; other types than text are refused."""

    type: Literal["text"]
    text: Words


class ChatMessage(_Request):
    """One message of the conversation so far."""

    role: RequestRole
    content: Words | list[TextPart] | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _check_content(cls, content: object) -> object:
        # By hand, because pydantic would report a wrong part once for each member of the union.
        if content is None or isinstance(content, str):
            return content
        if not isinstance(content, list):
            raise PydanticCustomError("content_type", "Content is a string or a list of text parts")
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind != "text":
                raise PydanticCustomError(
                    "content_part",
                    "This server reads parts of type 'text' only, not of type {kind}",
                    {"kind": repr(kind)},
                )
            if not isinstance(part.get("text"), str):
                raise PydanticCustomError("content_part", "A part of type 'text' has its text in the string 'text'")
        return content

    @property
    def text(self) -> str | None:
        """The words; parts are joined by line breaks. None where there are none."""
        if self.content is None or isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class StreamOptions(_Request):
    """OpenAI's `stream_options`."""

    include_usage: StrictBool | None = Field(None, description="one more chunk with the usage and no choices")


class Metadata(_Request):
    """OpenAI's `metadata`; other keys are ignored."""

    session_id: Words | None = Field(
        None, max_length=MAX_ID_CHARS, description="continues a conversation that this server keeps"
    )


class ChatalogueOptions(_Request):
    """What a client may ask of us beyond OpenAI's fields."""

    steps: StrictBool = Field(False, description="stream steps (queue, items found) on chunks with an empty delta")


_CHAT_EXAMPLES: Final[list[JsonValue]] = [
    {"model": MODEL_ID, "messages": [{"role": "user", "content": "a heist film under 15 euros"}]},
    {
        "model": MODEL_ID,
        "messages": [
            {"role": "user", "content": "a heist film"},
            {"role": "assistant", "content": "1. Heat (1995), 9.90 EUR"},
            {"role": "user", "content": [{"type": "text", "text": "and can I return it?"}]},
        ],
        "user": "ann",
        "stream": True,
        "stream_options": {"include_usage": True},
    },
]


class ChatRequest(_Request):
    """`POST /v1/chat/completions`. Only the last message is answered; the ones before it are its history."""

    model_config = ConfigDict(json_schema_extra={"examples": _CHAT_EXAMPLES})

    model: StrictStr = Field(description=f"always {MODEL_ID!r}", json_schema_extra={"enum": [MODEL_ID]})
    messages: list[ChatMessage] = Field(min_length=1, description="the last one is the user's")
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    n: StrictInt | None = Field(None, ge=1, le=1, description="one answer for each request")
    user: Words | None = Field(None, max_length=MAX_ID_CHARS, description="names the customer")
    metadata: Metadata | None = None
    chatalogue: ChatalogueOptions | None = None

    @field_validator("messages")
    @classmethod
    def _check_last(cls, messages: list[ChatMessage]) -> list[ChatMessage]:
        if messages[-1].role != "user":
            raise PydanticCustomError("last_message", "The last message must have the role 'user'")
        if messages[-1].text is None:
            raise PydanticCustomError("last_message", "The last message must have a content")
        return messages

    @property
    def question(self) -> str:
        """The message to be answered."""
        return self.messages[-1].text or ""

    @property
    def history(self) -> tuple[PastMessage, ...]:
        """The messages before it that have words, oldest first."""
        return tuple(
            PastMessage(_ROLES[message.role], message.text)
            for message in self.messages[:-1]
            if message.role in _ROLES and message.text is not None
        )

    @property
    def session_id(self) -> str | None:
        """The conversation to continue; None to find or begin one."""
        return (self.metadata and self.metadata.session_id) or None


class UsageBody(BaseModel):
    """Tokens over all calls of the turn."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, usage: Usage) -> UsageBody:
        """OpenAI's form of `usage`."""
        return cls(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.prompt_tokens + usage.completion_tokens,
        )


class UrlCitation(BaseModel):
    """Where in the text `[n]` stands (characters, end excluded); `url` is "" for an article without one."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """OpenAI's standard field for citations."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


def annotations_of(text: str, citations: Sequence[Citation]) -> list[Annotation]:
    """One annotation for each citation, at the mark behind its words; at the end of the text where there is none."""
    found = []
    for citation in citations:
        mark, behind = f"[{citation.n}]", text.find(f"{citation.quote} [{citation.n}]")
        start = text.find(mark) if behind < 0 else behind + len(citation.quote) + 1  # its words may have marks, too
        start, end = (start, start + len(mark)) if start >= 0 else (len(text), len(text))
        where = UrlCitation(start_index=start, end_index=end, title=citation.title, url=citation.url or "")
        found.append(Annotation(url_citation=where))
    return found


class AssistantMessage(BaseModel):
    """The reply."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Annotation] = Field(default_factory=list)


class Choice(BaseModel):
    """Always one."""

    index: Literal[0] = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


class ChatCompletion(BaseModel):
    """The answer to a request without `stream`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int = Field(description="Unix time, seconds")
    model: str = MODEL_ID
    choices: list[Choice]
    usage: UsageBody
    chatalogue: Answer


class ChunkDelta(BaseModel):
    """What is new; the first has the role, the last may have annotations."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    annotations: list[Annotation] | None = None


class ChunkChoice(BaseModel):
    """Always one, except on the chunk with the usage."""

    index: Literal[0] = 0
    delta: ChunkDelta
    logprobs: None = None
    finish_reason: Literal["stop"] | None = None


class Step(BaseModel):
    """What happens meanwhile, for clients that asked: calls `ahead` in the queue, or the `items` found."""

    name: Literal["waiting", "cards"]
    ahead: int | None = None
    items: list[ShownItem] | None = None


class StepObject(BaseModel):
    """The `chatalogue` object of a chunk that only tells a step."""

    v: Literal[1] = 1
    step: Step


class ChatChunk(BaseModel):
    """One `data:` line of a stream. `chatalogue` stands on the chunk with the finish reason."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str = MODEL_ID
    choices: list[ChunkChoice]
    usage: UsageBody | None = None
    chatalogue: Answer | StepObject | None = None


class ModelBody(BaseModel):
    """One entry of the list of models."""

    id: str = MODEL_ID
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["chatalogue"] = "chatalogue"


class ModelList(BaseModel):
    """`GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


def as_json(model: BaseModel) -> dict[str, Any]:
    """`model` as JSON values, every field present; numbers that JSON lacks (NaN) become null."""
    values: dict[str, Any] = json.loads(model.model_dump_json())
    return values
