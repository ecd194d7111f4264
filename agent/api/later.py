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


@router.patch("/v1/users/{user_id}/consent")
async def edit_consent(user_id: str, api: CallerApi) -> None:
    """A customer's consent to learning."""
    _refuse("Consent by user")


@router.get("/v1/users/{user_id}/export")
async def export_user(user_id: str, api: CallerApi) -> None:
    """Everything that is stored of a customer."""
    _refuse("The export of a user")


@router.delete("/v1/users/{user_id}")
async def delete_user(user_id: str, api: CallerApi) -> None:
    """Erase a customer."""
    _refuse("The erasure of a whole user")


@router.post("/v1/sessions/{session_id}/handoff")
async def hand_off(session_id: str, api: CallerApi) -> None:
    """Give a conversation to a human."""
    _refuse("Handing a conversation to a human")
