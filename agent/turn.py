"""What one turn works on (`Situation`) and what it decides (`Outcome`): the values between the steps.

Knows nothing of how either is made or sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from agent.answer import Action, Citation, HandoffView, NoMatch, Question
from agent.learning.profile import Profile
from agent.learning.ranker import LearnedRanking
from agent.log.records import ConversationStatus
from agent.preferences import Fact, Preference
from agent.questions import Chooser, choose
from agent.rank.axes import Axis
from agent.rank.judged import Ask
from agent.rank.session import Evidence
from agent.ranking import Ranked, Slate
from agent.shop import Shop
from agent.thresholds import Step
from agent.understand.types import DialogueContext, Intent, Understanding
from agent.wording import Wording
from retrieval.branches.base import Branch


@dataclass(frozen=True, slots=True)
class Visit:
    """Whose turn this is: the caller's key and user as the API has them, the person's id in the log.

    `status` says who has the conversation when the message comes.
    """

    tenant: str
    session_id: str
    turn_id: str
    key_id: str = ""
    user: str | None = None
    person_id: str | None = None
    status: ConversationStatus = "bot"


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that the decision of one turn may look at.

    `wishes` are those that this message is answered with, `lasting` those that stay: what a mere question names ("how
    many westerns do you have?") is not wished for afterwards. `last_ranking` is the trace of the list shown last:
    item ids with their contributions, best first. `said` is the talk with this message, without lists; `own` is what
    of it the customer said and asked for, `unwanted` the words for what they do not want, see `agent.meant`.
    `evidence` is what the reactions so far say of taste, `adjustments` what is believed of it before them; `lanes`
    gives what a search learns live from other talks, `profile` the lasting taste of a named customer (both read the
    log: call them in a thread). `judge` asks the language model about a shortlist (it blocks: likewise); None where
    that skill is off. `learned` gives the ranker that is live, None where it is the linear one; `customer` is the
    person's id, None for somebody without a name. `asked` are the attributes that the conversation has asked about;
    `waved_off`: the customer has said once that they would rather be shown things. `choose` picks a question. `lost`
    says of the turns before, the latest first, whether they were lost on the customer (it reads the log: likewise).
    `visit` is None in decisions outside of a stored conversation.
    """

    text: str
    shop: Shop
    context: DialogueContext
    understanding: Understanding
    wishes: tuple[Preference, ...]
    lasting: tuple[Preference, ...]
    wording: Wording
    said: tuple[str, ...] = ()
    own: tuple[str, ...] | None = None
    unwanted: tuple[str, ...] = ()
    rejected: frozenset[str] = frozenset()
    accepted: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    adjustments: Mapping[Axis, float] = field(default_factory=dict)
    lanes: Callable[[], tuple[Branch, ...]] = tuple
    profile: Callable[[], Profile | None] = lambda: None
    judge: Ask | None = None
    learned: Callable[[], LearnedRanking | None] = lambda: None
    customer: str | None = None
    visit: Visit | None = None
    asked: frozenset[str] = frozenset()
    waved_off: bool = False
    choose: Chooser = choose
    lost: Callable[[], Iterator[bool]] = lambda: iter(())
    size: int = 5
    candidates: int = 200
    temperature: float = 0.0
    diversity: float = 0.0
    seed: int = 0
    shop_name: str = ""
    undone_something: bool = False
    last_ranking: tuple[tuple[str, dict[str, float]], ...] = ()
    message_limit: int = 0

    def shown_before(self) -> frozenset[str]:
        """Every item that this conversation has listed."""
        return frozenset(item_id for shown in self.context.shown for item_id in shown)


@dataclass(frozen=True, slots=True)
class NearMiss:
    """An item that breaks wishes: shown as an alternative, never as an item."""

    entry: Ranked
    breaks: tuple[Preference, ...]


@dataclass(frozen=True, slots=True)
class Confidence:
    """How likely it is that a turn serves the customer, as a `step` of that kind; `features` are what that rests on.

    `lost`: hardly, and not because the wish was broad.
    """

    step: Step
    probability: float
    features: Mapping[str, float]
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the turn does, before it is put into words by the model.

    `opening` and `closing` are finished text; between them stands the numbered list of the slate
    (or of the near misses), and after it, where `pitch` is set, what the model says of that item.
    `n_matching` items meet every hard wish, where a list was made for wishes; `article_score` is the best passage's;
    `hosts` are those that the operator's own words lead to, which are said word for word;
    `confidence` is None for what is not judged; `handoff` is set while people have the conversation. `retrieve_ms` and
    `rank_ms` are None where the step did not run. `is_wish` is False where the message told of no wish, whatever was
    read in it: a postal address has a country, too.
    """

    action: Action
    opening: str = ""
    closing: str = ""
    slate: Slate = field(default_factory=Slate)
    near: tuple[NearMiss, ...] = ()
    pitch: Ranked | None = None
    citations: tuple[Citation, ...] = ()
    no_match: NoMatch | None = None
    question: Question | None = None
    focus: tuple[str, ...] = ()
    n_matching: int = 0
    article_score: float | None = None
    hosts: frozenset[str] = frozenset()
    confidence: Confidence | None = None
    degraded: bool = False
    handoff: HandoffView | None = None
    is_wish: bool = True
    timings: Mapping[str, float] = field(default_factory=dict)


_QUESTIONS: frozenset[Intent] = frozenset({"count", "superlative", "unknown_item"})


def lasting_facts(understanding: Understanding) -> tuple[Fact, ...]:
    """The facts that the log keeps: "how many westerns do you have?" wishes for nothing."""
    return () if understanding.intent in _QUESTIONS else understanding.facts
