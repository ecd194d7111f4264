"""Addresses of the contract whose work is not done yet: each answers 501 with one sentence."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from fastapi import APIRouter

from agent.api.context import CallerApi
from agent.api.errors import ERROR_RESPONSES, ApiError, ErrorEnvelope

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = ERROR_RESPONSES | {
    501: {"model": ErrorEnvelope, "description": "Not in this version"}
}

router = APIRouter(tags=["not yet"], responses=_RESPONSES)


def _refuse(what: str) -> NoReturn:
    raise ApiError(501, "not_implemented", f"{what} is not in this version of the server; see its changelog.")


@router.post("/v1/sessions/{session_id}/handoff")
async def hand_off(session_id: str, api: CallerApi) -> None:
    """Give a conversation to a human."""
    _refuse("Handing a conversation to a human")
