"""`/v1/users/{id}/preferences`: a named customer's wishes, read, edited and forgotten from outside."""

from __future__ import annotations

import secrets
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictFloat, model_validator
from pydantic_core import PydanticCustomError

from agent.answer import PreferenceView
from agent.api.context import Api, CallerApi
from agent.api.errors import ERROR_RESPONSES
from agent.api.schemas import MAX_ID_CHARS, Words
from agent.learning.standing import may_be_standing
from agent.preferences import Added, Dropped, Fact, Polarity, Preference, PreferenceKind, PreferenceOperator, fold
from retrieval.errors import IndexUnavailable, NotFound

MAX_VALUE_CHARS: Final = 500
MAX_EDITS: Final = 100
"""Wishes added, or removed, by one request."""

Value: TypeAlias = (
    Annotated[StrictFloat, Field(allow_inf_nan=False)]
    | Annotated[Words, Field(min_length=1, max_length=MAX_VALUE_CHARS)]
)
UserId: TypeAlias = Annotated[str, Path(max_length=MAX_ID_CHARS, description="the `user` of chat requests")]

router = APIRouter(tags=["users"], responses=ERROR_RESPONSES)


_ONE_NUMBER: Final[dict[str, JsonValue]] = {
    "anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 1}]
}
_TEXTS: Final[dict[str, JsonValue]] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_BY_OPERATOR: Final[dict[str, JsonValue]] = {
    "if": {"required": ["op"], "properties": {"op": {"enum": ["about", "like"]}}},
    "then": {"properties": {"attribute": {"type": "null"}, "value": _TEXTS}},
    "else": {
        "required": ["attribute"],
        "properties": {"attribute": {"type": "string"}},
        "if": {"required": ["op"], "properties": {"op": {"enum": ["lt", "le", "gt", "ge"]}}},
        "then": {"properties": {"value": _ONE_NUMBER}},
    },
}
"""What `_check_types` checks, for the OpenAPI document."""
_WISH_EXAMPLES: Final[list[JsonValue]] = [
    {"kind": "hard", "attribute": "price", "op": "le", "value": 15},
    {"attribute": "genre", "value": ["crime", "thriller"], "evidence": "a heist film"},
    {"op": "about", "value": "trains", "polarity": "negative"},
]


class NewPreference(BaseModel):
    """A wish to be added. Several values mean any of them."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", json_schema_extra={"examples": _WISH_EXAMPLES, **_BY_OPERATOR}
    )

    kind: PreferenceKind = "soft"
    attribute: Words | None = Field(None, min_length=1, max_length=MAX_ID_CHARS)
    op: PreferenceOperator = "eq"
    value: Value | Annotated[list[Value], Field(min_length=1, max_length=MAX_EDITS)]
    polarity: Polarity = "positive"
    evidence: Words = Field("", max_length=MAX_VALUE_CHARS, description="the words that caused it")

    @model_validator(mode="after")
    def _check_types(self) -> NewPreference:
        values = self.values
        free = self.op in ("about", "like")
        if free and self.attribute is not None:
            raise PydanticCustomError("preference", "A wish with op 'about' or 'like' has no attribute")
        if free and not all(isinstance(value, str) for value in values):
            raise PydanticCustomError("preference", "The value of op 'about' is text, and of op 'like' an item id")
        if not free and self.attribute is None:
            raise PydanticCustomError("preference", "A wish with op 'eq', 'lt', 'le', 'gt' or 'ge' names an attribute")
        if self.op in ("lt", "le", "gt", "ge") and not (len(values) == 1 and isinstance(values[0], float)):
            raise PydanticCustomError("preference", "The value of op 'lt', 'le', 'gt' or 'ge' is one number")
        return self

    @property
    def values(self) -> tuple[str | float, ...]:
        """The value, or the alternatives."""
        return tuple(self.value) if isinstance(self.value, list) else (self.value,)

    def as_fact(self) -> Added:
        """The wish with a fresh id, from before the first turn of any conversation."""
        wish_id = f"u-{secrets.token_hex(8)}"
        wish = Preference(
            wish_id, self.kind, self.attribute, self.op, self.values, self.polarity, self.evidence, turn=0
        )
        return Added(wish)


class PreferencesEdit(BaseModel):
    """What to change; removals come first."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", json_schema_extra={"examples": [{"add": _WISH_EXAMPLES, "remove": []}]}
    )

    add: list[NewPreference] = Field(default_factory=list, max_length=MAX_EDITS)
    remove: list[Words] = Field(default_factory=list, max_length=MAX_EDITS, description="ids of wishes")


class PreferencesBody(BaseModel):
    """The wishes in force, oldest first."""

    user: str
    preferences: list[PreferenceView]


class PreferencesDeleted(BaseModel):
    """They are forgotten; conversations keep what was said in them."""

    user: str
    deleted: Literal[True] = True


@router.get("/v1/users/{user_id}/preferences")
async def show_preferences(user_id: UserId, api: CallerApi) -> PreferencesBody:
    """What the customer told us outside of single conversations, or wishes in one after the other ("s-..." ids).

    Empty for one we do not know.
    """
    return await _body(api, user_id, await api.in_thread(_wishes, api, user_id))


@router.patch("/v1/users/{user_id}/preferences")
async def edit_preferences(user_id: UserId, body: PreferencesEdit, api: CallerApi) -> PreferencesBody:
    """Add and remove wishes; conversations begun from now on start with the result.

    What was wished again and again and is removed has to be said again as often before it comes back.
    """
    return await _body(api, user_id, await api.in_thread(_edit, api, user_id, body))


@router.delete("/v1/users/{user_id}/preferences")
async def forget_preferences(user_id: UserId, api: CallerApi) -> PreferencesDeleted:
    """Erase the stored wishes."""
    await api.in_thread(api.services.log.forget_user_preferences, api.tenant, api.key_id, user_id)
    return PreferencesDeleted(user=user_id)


def _wishes(api: Api, user_id: str) -> tuple[Preference, ...]:
    return fold(api.services.log.user_facts(api.tenant, api.key_id, user_id))


def _edit(api: Api, user_id: str, body: PreferencesEdit) -> tuple[Preference, ...]:
    known = {wish.id for wish in _wishes(api, user_id)}
    is_known = api.services.log.person_id(api.tenant, api.key_id, user_id) is not None
    for wish_id in body.remove:
        # Not only those listed: more may last than a conversation begins with, and an answer has shown it.
        if wish_id not in known and not (is_known and may_be_standing(wish_id)):
            raise NotFound(f"There is no wish {wish_id!r} of this user; GET the list for the ids in force.")
    facts: list[Fact] = []
    if body.remove:
        facts.append(Dropped(turn=0, evidence="", preference_ids=tuple(body.remove)))
    facts.extend(wish.as_fact() for wish in body.add)
    if facts:
        api.services.log.record_user_edit(api.tenant, api.key_id, user_id, facts)
    return _wishes(api, user_id)


async def _body(api: Api, user_id: str, wishes: tuple[Preference, ...]) -> PreferencesBody:
    try:
        lasting = await api.services.chat.standing(api.tenant, api.key_id, user_id)
    except IndexUnavailable:  # stored wishes can be seen and removed without a catalogue
        lasting = ()
    return PreferencesBody(user=user_id, preferences=[PreferenceView.of(wish) for wish in (*wishes, *lasting)])
