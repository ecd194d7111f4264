"""`/v1/users/{id}`: a named customer's consent to learning, everything stored of them, and their erasure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from agent.adapters.manifest import AdapterState
from agent.adapters.registry import AdapterRegistry, Holding
from agent.answer import PreferenceView
from agent.api.context import Api, CallerApi
from agent.api.errors import ERROR_RESPONSES
from agent.api.sessions import SessionBody, session_body
from agent.api.users import UserId
from agent.datadir import DataDirectory
from agent.doors.answering import CUSTOMER, DOOR_KEY
from agent.learning.forgetting import erase_customer, learned_from, note_consent
from agent.log.people import PAGE_KEY, VISITOR
from agent.log.records import Consent, PersonRecord
from agent.preferences import fold
from agent.support.handoff.keeping import Handoffs, handoffs_of
from agent.support.handoff.machine import Kind

_OF_CUSTOMERS: Final[frozenset[Kind]] = frozenset({"asked", "contact", "said", "withdrawn"})

router = APIRouter(tags=["users"], responses=ERROR_RESPONSES)


class ConsentEdit(BaseModel):
    """Whether the shop may learn from this customer."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra={"examples": [{"consent": False}]})

    consent: Annotated[StrictBool, Field(description="what was said before is meant, too")]


class ConsentBody(BaseModel):
    """`consent` null: they said nothing, so the shop's `rule` decides. `learned_from`: what it comes to."""

    user: str
    consent: bool | None
    rule: Consent
    learned_from: bool


class AdapterLeft(BaseModel):
    """An adapter whose weights learned from the customer, themselves or `through` the one that they were begun with."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    state: AdapterState
    through: str | None


class ConsentEdited(ConsentBody):
    """With no, what was copied for trainings is gone; `adapters` still have what their weights learned before."""

    adapters: list[AdapterLeft]


class EventBody(BaseModel):
    """One event as it stands in the log, with its words."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    at: datetime
    kind: str
    session_id: str | None
    turn_id: str | None
    item_id: str | None
    value: float | None
    of: str | None
    reason: str | None
    text: str | None
    data: dict[str, Any] | None


class HandoffDeed(BaseModel):
    """What a customer did about being handed over; `message` is theirs for the team, `contact` how to reach them."""

    session_id: str
    number: int
    kind: Kind
    at: datetime
    message: str | None
    contact: str | None


class UserExport(ConsentBody):
    """Everything that is stored of a customer; `since` null for one whom we do not know."""

    object: Literal["user_export"] = "user_export"
    since: datetime | None
    preferences: list[PreferenceView]
    sessions: list[SessionBody]
    events: list[EventBody]
    handoffs: list[HandoffDeed]
    adapters: list[AdapterLeft]


class UserErased(BaseModel):
    """They are forgotten; `sessions` counts conversations, `left` says what remains, and until when."""

    user: str
    object: Literal["user"] = "user"
    deleted: Literal[True] = True
    sessions: int
    adapters: list[AdapterLeft]
    left: str


@router.patch("/v1/users/{user_id}/consent")
async def edit_consent(user_id: UserId, body: ConsentEdit, api: CallerApi) -> ConsentEdited:
    """Let the shop learn from a customer, or not any more."""
    return await api.in_thread(_edit_consent, api, user_id, body.consent)


@router.get("/v1/users/{user_id}/export")
async def export_user(user_id: UserId, api: CallerApi) -> UserExport:
    """Everything that is stored of a customer."""
    return await api.in_thread(_export, api, user_id)


@router.delete("/v1/users/{user_id}")
async def erase_user(user_id: UserId, api: CallerApi) -> UserErased:
    """Erase a customer: conversations, wishes, feedback, imported history, and what was copied for trainings.

    What is answered twice was done once. The same name is somebody new afterwards, who has not said no to anything.
    """
    return await api.in_thread(_erase, api, user_id)


def _edit_consent(api: Api, user_id: str, consent: bool) -> ConsentEdited:
    for key_id in _keys(api, user_id):
        note_consent(_data(api), api.services.log, api.tenant, key_id, user_id, consent=consent)
    left = [] if consent else _left(api, [one for person in _people(api, user_id) for one in person.adapters])
    return ConsentEdited(**_consent(api, user_id, consent).model_dump(), adapters=left)


def _export(api: Api, user_id: str) -> UserExport:
    log, tenant, people = api.services.log, api.tenant, _people(api, user_id)
    wishes = fold([fact for key_id in _keys(api, user_id) for fact in log.user_facts(tenant, key_id, user_id)])
    sessions = [one for person in people for one in person.session_ids]
    return UserExport(
        **_consent(api, user_id, people[0].consent if people else None).model_dump(),
        since=min((person.since for person in people), default=None),
        preferences=[PreferenceView.of(wish) for wish in wishes],
        sessions=[session_body(log.session_view(tenant, one), handoffs_of(api.services)) for one in sessions],
        events=[EventBody.model_validate(one) for person in people for one in person.events],
        handoffs=[deed for one in sessions for deed in _deeds(handoffs_of(api.services), tenant, one)],
        adapters=_left(api, [one for person in people for one in person.adapters]),
    )


def _deeds(handoffs: Handoffs, tenant: str, session_id: str) -> list[HandoffDeed]:
    """Without those of the team, whose replies stand in the session and whose notes are their own."""
    return [
        HandoffDeed(
            session_id=session_id,
            number=entry.number,
            kind=entry.kind,
            at=entry.at,
            message=entry.text if entry.kind == "contact" else None,  # of the others it is a line of ours
            contact=entry.contact,
        )
        for entry in handoffs.trail(tenant, session_id).entries
        if entry.kind in _OF_CUSTOMERS
    ]


def _erase(api: Api, user_id: str) -> UserErased:
    log, data = api.services.log, _data(api)
    found = [erase_customer(data, log, api.tenant, key_id, user_id) for key_id in _keys(api, user_id)]
    erased = [one for one in found if one is not None]
    if not erased:
        return UserErased(user=user_id, sessions=0, adapters=[], left="Nothing is stored of this user.")
    left = _left(api, [adapter for one in erased for adapter in one.adapters])
    sessions = sum(len(one.session_ids) for one in erased)
    return UserErased(user=user_id, sessions=sessions, adapters=left, left=_sentence(left))


def _keys(api: Api, user_id: str) -> list[str]:
    """Under which keys the name is somebody; the caller's own where it is nobody. Visitors have none."""
    others = {VISITOR: PAGE_KEY, CUSTOMER: DOOR_KEY}
    asked = dict.fromkeys([api.key_id, *(key for begins, key in others.items() if user_id.startswith(begins))])
    known = [key_id for key_id in asked if api.services.log.person_id(api.tenant, key_id, user_id) is not None]
    return known or [api.key_id]


def _people(api: Api, user_id: str) -> list[PersonRecord]:
    found = (api.services.log.person(api.tenant, key_id, user_id) for key_id in _keys(api, user_id))
    return [person for person in found if person is not None]


def _consent(api: Api, user_id: str, said: bool | None) -> ConsentBody:
    rule = api.services.settings.learning.consent
    return ConsentBody(user=user_id, consent=said, rule=rule, learned_from=learned_from(said, rule))


def _data(api: Api) -> DataDirectory:
    return DataDirectory(api.services.settings.data_dir)


def _left(api: Api, trained: Sequence[str]) -> list[AdapterLeft]:
    holding: Sequence[Holding] = ()
    if trained:
        holding = AdapterRegistry(_data(api), api.services.log, api.tenant).holding(trained)
    return [AdapterLeft.model_validate(one) for one in holding]


def _sentence(left: Sequence[AdapterLeft]) -> str:
    copies = "Copies outside of the data directory (backups, exports) are not reached."
    if not left:
        return f"One line in the log, without content, that somebody was erased. {copies}"
    names = ", ".join(f"{one.id} ({one.state})" for one in left)
    return (
        f"One line in the log, without content, and what the weights of {names} learned before: until an adapter made "
        f"without this user answers and those are deleted (`chatalogue adapters prune`). {copies}"
    )
