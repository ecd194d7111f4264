"""Customer satisfaction: a score for the bot and one for the people of the team, each by itself.

Nothing here asks: a shop that wants scores asks in its own channel, after the talk, and sends what it is told.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from agent.api.context import Api, CallerApi
from agent.api.errors import ERROR_RESPONSES, ApiError, ErrorEnvelope
from agent.api.feedback import MAX_COMMENT_CHARS
from agent.api.handoffs import check_team
from agent.api.schemas import Words
from agent.log.ratings import Rated, Rating, Ratings
from agent.support.handoff.keeping import handoffs_of

LIST_LIMIT: Final = 200

router = APIRouter(responses=ERROR_RESPONSES)

_EXAMPLES: Final[list[JsonValue]] = [{"of": "bot", "score": 4}, {"of": "human", "score": 5, "text": "Maria was great"}]


def _whole(score: object) -> object:
    """JSON has one kind of numbers: 4.0 is 4."""
    return int(score) if isinstance(score, float) and score.is_integer() else score


class RatingRequest(BaseModel):
    """What the customer said of the bot, or of the person who answered last; said again, the newest counts."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra={"examples": _EXAMPLES})

    of: Rated
    score: Annotated[int, Field(strict=True, ge=1, le=5, description="5 is best"), BeforeValidator(_whole)]
    text: Words | None = Field(None, max_length=MAX_COMMENT_CHARS)


class RatingBody(BaseModel):
    """One score; `agent` is the name that the person of the team gave, null for the bot."""

    session_id: str
    of: Rated
    score: int
    text: str | None
    agent: str | None
    at: datetime


class RatingStored(BaseModel):
    """Whose work it was, and the line of the log."""

    session_id: str
    of: Rated
    agent: str | None
    event_id: str


class RatingMean(BaseModel):
    """`mean` is null where nobody has said anything."""

    scores: int
    mean: float | None


class RatingList(BaseModel):
    """The newest first; `bot` and `human` are over all that count."""

    object: Literal["list"] = "list"
    bot: RatingMean
    human: RatingMean
    data: list[RatingBody]


@router.post(
    "/v1/sessions/{session_id}/rating",
    tags=["feedback"],
    responses={409: {"model": ErrorEnvelope, "description": "Whom the score is of has said nothing yet"}},
)
async def rate_session(session_id: str, body: RatingRequest, api: CallerApi) -> RatingStored:
    """Store how content the customer was with the bot, or with the people of the team."""
    return await api.in_thread(_rate, api, session_id, body)


@router.get("/v1/ratings", tags=["handoffs"])
async def list_ratings(api: CallerApi, limit: Annotated[int, Query(ge=1, le=LIST_LIMIT)] = 50) -> RatingList:
    """What customers said, for the team."""
    check_team(api)
    return await api.in_thread(_list, api, limit)


def _rate(api: Api, session_id: str, body: RatingRequest) -> RatingStored:
    view = api.services.log.session_view(api.tenant, session_id, key_id=api.key_id)
    replies = [
        entry for entry in handoffs_of(api.services).trail(api.tenant, session_id).entries if entry.kind == "replied"
    ]
    is_there = bool(replies) if body.of == "human" else any(turn.reply for turn in view.turns)
    if not is_there:
        raise ApiError(409, "nothing_to_rate", f"In this conversation the {body.of} has said nothing yet.", param="of")
    agent = (replies[-1].data or {}).get("agent") if body.of == "human" else None
    rating = Rating(session_id, body.of, body.score, body.text, agent)
    event_id = Ratings(api.services.log.database).store(api.tenant, rating)
    return RatingStored(session_id=session_id, of=body.of, agent=agent, event_id=event_id)


def _list(api: Api, limit: int) -> RatingList:
    ratings = Ratings(api.services.log.database)
    bot, human = ratings.mean(api.tenant, "bot"), ratings.mean(api.tenant, "human")
    return RatingList(
        bot=RatingMean(scores=bot.scores, mean=bot.mean),
        human=RatingMean(scores=human.scores, mean=human.mean),
        data=[
            RatingBody(
                session_id=one.rating.session_id,
                of=one.rating.of,
                score=one.rating.score,
                text=one.rating.text,
                agent=one.rating.agent,
                at=one.at,
            )
            for one in ratings.newest(api.tenant, limit)
        ],
    )
