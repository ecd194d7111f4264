"""Every error of the API as OpenAI's envelope: {"error": {"message", "type", "param", "code"}}, code a string.

What a client sees of an error that is not meant for a person is one bland sentence; the log has the
rest. Knows nothing of routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from agent.log.records import TurnConflict
from retrieval.errors import (
    BadRequest,
    ChatalogueError,
    DataDirectoryError,
    IndexUnavailable,
    NotFound,
)

LOGGED_FRAMES: Final = 8
"""Innermost frames of an unforeseen error; the outer ones are always the server's."""

MAX_BODY_BYTES: Final = 1024 * 1024
"""Of a request under /v1; a conversation of a thousand long messages fits."""

_log = structlog.get_logger(__name__)


class ErrorBody(BaseModel):
    """The inside of the envelope. `param` is the path of the field that is wrong, null where none is."""

    message: str
    type: str
    param: str | None = None
    code: str


class ErrorEnvelope(BaseModel):
    """What every error under /v1 looks like."""

    error: ErrorBody


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it goes to a client."""

    status: int
    code: str
    message: str
    param: str | None = None
    headers: Mapping[str, str] | None = None

    def envelope(self) -> dict[str, Any]:
        """The JSON of it."""
        body = ErrorBody(message=self.message, type=_type_of(self.status, self.code), param=self.param, code=self.code)
        return ErrorEnvelope(error=body).model_dump()

    def response(self) -> JSONResponse:
        """The HTTP response of it."""
        return JSONResponse(self.envelope(), self.status, dict(self.headers or {}))


class ApiError(Exception):
    """Raised by the API's own code with the failure to send."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = Failure(status, code, message, param, headers)


_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    501: "not_implemented_error",
    503: "service_unavailable_error",
}


_TYPES_OF_CODES: Final[Mapping[str, str]] = {
    "rate_limit_exceeded": "requests",  # OpenAI's own names
    "insufficient_quota": "insufficient_quota",
}


def _type_of(status: int, code: str) -> str:
    return (
        _TYPES_OF_CODES.get(code)
        or _TYPES.get(status)
        or ("server_error" if status >= 500 else "invalid_request_error")
    )


# First match wins: a subclass stands before its base.
_FAILURES: Final[tuple[tuple[type[ChatalogueError], int, str], ...]] = (
    (NotFound, 404, "not_found"),
    (BadRequest, 400, "invalid_value"),
    (TurnConflict, 409, "turn_conflict"),
    (IndexUnavailable, 503, "index_unavailable"),
)

_NO_DATABASE: Final = Failure(
    503, "database_unavailable", "Our records cannot be reached; nothing stored before is lost, try again in a moment."
)

_HTTP_CODES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid_json", "The body cannot be read as JSON; send a JSON object in UTF-8."),
    404: ("not_found", "There is nothing at this address; the endpoints are listed in /openapi.json."),
    408: ("body_too_slow", "The body took too long to arrive; send it again in one go."),
    405: ("method_not_allowed", "This address does not take that method; see the Allow header."),
    413: ("body_too_large", f"The body is larger than {MAX_BODY_BYTES // 1024} KiB; send a shorter conversation."),
}


def failure_of(error: Exception) -> Failure:
    """How `error` is told to a client; what is not meant for a person is logged here and told blandly."""
    if isinstance(error, ApiError):
        return error.failure
    if isinstance(error, RequestValidationError):
        return _validation_failure(error.errors())
    if isinstance(error, HTTPException):
        code, message = _HTTP_CODES.get(error.status_code, ("http_error", str(error.detail)))
        return Failure(error.status_code, code, message, headers=error.headers)
    for kind, status, code in _FAILURES:
        if isinstance(error, kind):
            if status >= 500:
                _log.error("request_failed", code=code, error=type(error).__name__, detail=str(error))
            return Failure(status, code, str(error))
    if isinstance(error, DataDirectoryError):  # its words name places on our disk and are for the operator
        _log.error("request_failed", code="database_unavailable", error=type(error).__name__, detail=str(error))
        return _NO_DATABASE
    if isinstance(error, OperationalError):
        # The statement and its parameters hold people's words: only the driver's own class is logged.
        _log.error("request_failed", code="database_unavailable", error=type(error.orig).__name__)
        return _NO_DATABASE
    _log.error("request_failed", code="internal_error", error=type(error).__name__, at=_place_of(error))
    return Failure(500, "internal_error", "Something went wrong on our side; try again, and quote the x-request-id.")


def _place_of(error: Exception) -> list[str]:
    """File and line of each frame; the message stays out, it may quote a customer."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[-LOGGED_FRAMES:]


def _validation_failure(errors: Sequence[Any]) -> Failure:
    first = errors[0]
    kind, where = str(first["type"]), tuple(first["loc"])[1:]
    if kind == "json_invalid":
        detail = f"{first['ctx']['error']} at character {where[0]}" if where else first["msg"]
        return Failure(400, "invalid_json", f"The body is not JSON ({detail}); send a JSON object.")
    if not where:
        return Failure(400, "invalid_type", "The body must be a JSON object with content type application/json.")
    param = _path_of(where)
    if kind == "missing":
        return Failure(400, "missing_required_parameter", f"{param!r} is missing; it is required.", param)
    code = "invalid_type" if kind.endswith(("_type", "_parsing")) else "invalid_value"
    return Failure(400, code, f"{param!r} does not fit: {_sentence(first['msg'])}", param)


def _path_of(where: Sequence[str | int]) -> str:
    path = ""
    for part in where:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _sentence(text: str) -> str:
    text = text[:1].lower() + text[1:]
    return text if text.endswith(".") else text + "."


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """The exception handler of every kind that is listed in `HANDLED`."""
    return failure_of(error).response()


HANDLED: Final[tuple[type[Exception], ...]] = (
    ApiError,
    RequestValidationError,
    HTTPException,
    ChatalogueError,
    OperationalError,
)
"""Kinds with a handler of their own; the rest is caught at the border (agent/api/border.py)."""

ERROR_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorEnvelope, "description": text}
    for status, text in {
        400: "The request cannot be used; `param` names the field",
        401: "The API key is missing or wrong",
        403: "Sent by another site's page, or with a key that may not do this",
        404: "An id that we never gave out",
        408: "The body took too long to arrive",
        413: "The body is too large",
        421: "Without keys: a host name that is not this server's",
        500: "Something unforeseen; the log has it under the x-request-id",
        429: "More requests, messages or answers at the same time than the key may have; see `Retry-After`",
        503: "Index or database fail",
        504: "No answer in the time that a request may take",
    }.items()
}
"""For the OpenAPI document of every route under /v1."""
