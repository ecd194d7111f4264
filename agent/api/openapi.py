"""The OpenAPI document: what FastAPI reads from the routes, and what it cannot know of them.

That is the chunks of the stream, what the border answers before a route is asked, an example of each error, and which
ids of one answer are the parameters of another request. Knows nothing of how requests are answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from agent.api.border import NO_KEY, is_api
from agent.api.errors import Failure
from agent.api.schemas import ChatChunk

DESCRIPTION: Final = """\
A shop's assistant: it recommends items of the catalogue, answers from the help articles, and hands over to people.

`POST /v1/chat/completions` is OpenAI's: their clients work with this server's address as `base_url`. Every answer also
carries one object, `chatalogue`, with items, citations, wishes and the ids for the other requests; a client that drops
it loses nothing, for the text alone is enough.

Every error under `/v1` is OpenAI's envelope; `code` is for programs, `message` for people. Every response has an
`x-request-id`, which finds the request in the server's log. Fields that are not listed are accepted and ignored.
"""

TAGS: Final = (
    ("chat", "One message in, one answer out, and the model's name."),
    ("feedback", "What customers did with an answer, and on the shop's own pages."),
    ("users", "A named customer's wishes, consent, stored data and erasure."),
    ("conversations", "Conversations read again, explained, handed over and erased."),
    ("handoffs", "For the team that takes conversations over: what waits, replies, notes, giving back."),
    ("doors", "The same in the forms of other systems: Chatwoot's agent bot, Rasa's REST channel."),
    ("operations", "For probes and Prometheus."),
)

EVENT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "One event of the stream: a chunk, the envelope of an error, or the end.",
    "required": ["data"],
    "properties": {
        "data": {
            "anyOf": [
                {"const": "[DONE]"},
                {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {
                        "anyOf": [
                            {"$ref": "#/components/schemas/ChatChunk"},
                            {"$ref": "#/components/schemas/ErrorEnvelope"},
                        ]
                    },
                },
            ]
        }
    },
}
"""Of a stream: events have no name, and comments keep it open."""

_EXAMPLES: Final[Sequence[Failure]] = (
    Failure(400, "missing_required_parameter", "'messages' is missing; it is required.", "messages"),
    NO_KEY,
    Failure(403, "foreign_origin", "The request comes from a page of another site; send it from this server's own."),
    Failure(404, "not_found", "The conversation 's_1' is unknown; use a session_id from one of your answers."),
    Failure(408, "body_too_slow", "The body did not arrive within 20 seconds; send it again in one go."),
    Failure(409, "turn_conflict", "This conversation went on meanwhile; send the message again."),
    Failure(413, "body_too_large", "The body is larger than 1024 KiB; send a shorter conversation."),
    Failure(421, "unknown_host", "This server does not answer under this host name; use 127.0.0.1 or localhost."),
    Failure(429, "rate_limit_exceeded", "This API key may send 600 requests a minute; try again in 2 s."),
    Failure(500, "internal_error", "Something went wrong on our side; try again, and quote the x-request-id."),
    Failure(503, "database_unavailable", "Our records cannot be reached; try again in a moment."),
    Failure(504, "request_timeout", "The answer took longer than a request may take; send it again in a moment."),
)
"""One of each status."""

_KNOWS_EVERYBODY: Final = frozenset(
    {"listModels", "showPreferences", "forgetPreferences", "editConsent", "exportUser", "eraseUser"}
)
"""Operations that find everybody: a user whom we do not know is one of whom nothing is stored."""
_NO_NAME: Final = "A name with control characters, which no path may have"

_LINKS: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "createCompletion": {
        "showSession": {"session_id": "$response.body#/chatalogue/session_id"},
        "deleteSession": {"session_id": "$response.body#/chatalogue/session_id"},
        "showTrace": {"turn_id": "$response.body#/chatalogue/turn_id"},
    },
}
"""Operation -> operation that may follow -> its parameters, read from the first one's answer."""

_REACTION: Final = {"turn_id": "$response.body#/chatalogue/turn_id", "kind": "thumb_up"}
"""What may be sent of an answer to `recordFeedback`."""

_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "any name for this request; sent again with it, it is answered as before and nothing is done twice",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_REPEATED: Final = "Two requests at once, or an Idempotency-Key that was used for another one"
_RETRY_AFTER: Final = {"Retry-After": {"description": "seconds", "required": True, "schema": {"type": "integer"}}}

_REQUEST_ID: Final = {
    "x-request-id": {
        "description": "finds the request in the server's log; yours where you sent one",
        "required": True,
        "schema": {"type": "string"},
    }
}


def operation_id(route: APIRoute) -> str:
    """`create_completion` -> `createCompletion`: what generators of clients call the method.

    One word says too little there: `take` -> `takeHandoff`.
    """
    first, *rest = route.name.split("_")
    if not rest and "/handoff" in route.path:
        rest = ["handoff"]
    return first + "".join(word.capitalize() for word in rest)


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document."""
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary="Talk to a catalogue",
        description=DESCRIPTION,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        tags=[{"name": name, "description": text} for name, text in TAGS],
    )
    _add_chunks(found)
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            operation["responses"].pop("422", None)  # FastAPI's own; ours are 400
            if is_api(path):
                operation.setdefault("security", [{"HTTPBearer": []}])  # also where the handler asks for no caller
            if method == "post" and is_api(path):
                _add_repeats(operation)
            _complete(operation)
    _link(found)
    return found


def _operations(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in found["paths"].values():
        yield from methods.values()


def _add_chunks(found: Mapping[str, Any]) -> None:
    """No route returns the chunks of a stream as such."""
    chunk = ChatChunk.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas = found["components"]["schemas"]
    for name, schema in chunk.pop("$defs").items():
        schemas.setdefault(name, schema)
    schemas["ChatChunk"] = chunk


def _add_repeats(operation: dict[str, Any]) -> None:
    """What the border does for every POST (agent/api/repeats.py)."""
    operation.setdefault("parameters", []).append(dict(_IDEMPOTENCY))
    conflict = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}}
    operation["responses"].setdefault("409", {"description": _REPEATED, "content": conflict})


def _complete(operation: dict[str, Any]) -> None:
    """Headers that every response has, and an example of each error."""
    examples = {str(failure.status): failure.envelope() for failure in _EXAMPLES}
    if operation["operationId"] in _KNOWS_EVERYBODY:
        if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
            operation["responses"]["404"]["description"] = _NO_NAME
        else:
            operation["responses"].pop("404", None)
    for status, response in operation["responses"].items():
        response["headers"] = {
            **_REQUEST_ID,
            **(_RETRY_AFTER if status == "429" else {}),
            **response.get("headers", {}),
        }
        body = response.get("content", {}).get("application/json", {})
        if status in examples and str(body.get("schema", {}).get("$ref")).endswith("/ErrorEnvelope"):
            body.setdefault("example", examples[status])
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _link(found: Mapping[str, Any]) -> None:
    known = {operation["operationId"]: operation for operation in _operations(found)}
    for name, links in _LINKS.items():
        known[name]["responses"]["200"]["links"] = {
            follower: {"operationId": follower, "parameters": dict(parameters)}
            for follower, parameters in links.items()
        }
    reaction = {"operationId": "recordFeedback", "requestBody": _REACTION}
    known["createCompletion"]["responses"]["200"]["links"]["recordFeedback"] = reaction
