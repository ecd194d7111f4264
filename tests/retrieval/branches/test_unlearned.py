"""The branches of a shop's first day: names, shared values, and the title that is asked for."""

from branch_doubles import films

from retrieval.query import Query
from retrieval.table import ItemTable
from retrieval.unlearned import ASKED, unlearned

TABLE = films()
FURTHER = unlearned(TABLE)


def signals(query: Query) -> dict[str, list[str]]:
    """Signal -> ids that it finds."""
    cues = FURTHER.read(query)
    return {
        name: [TABLE.ids[row] for row in scores.rows.tolist()]
        for branch in FURTHER.branches
        for name, scores in branch.scores(cues).items()
    }


def asked(*own: str, unwanted: tuple[str, ...] = ()) -> list[str]:
    return signals(Query(own=own, unwanted=unwanted)).get(ASKED, [])


def test_what_is_asked_for_is_in_the_latest_words() -> None:
    assert asked("I want to see Inception") == ["Inception/2010"]
    assert asked("Inception", "something newer") == []
    assert asked("Inception", unwanted=("Inception",)) == []
    assert asked() == []
    assert ASKED not in signals(Query(turns=("Inception",))), "nobody knows whose words these are"


def test_a_title_that_is_all_that_is_said_is_meant() -> None:
    assert asked("alien") == ["Alien/1979"]
    assert asked(" up! ") == ["Up/2009"]
    assert asked("what is up") == []
    assert asked("heat") == [], "there are two"


def test_names_and_shared_values() -> None:
    found = signals(Query(turns=("a comedy like Alien (1979)",)))
    assert set(found["names.genre"]) >= {"Up/2009", "Amélie/2001"}
    assert found["metapath.director"] == ["Blade Runner/1982"]
    assert signals(Query()) == {}
    assert unlearned(ItemTable([])).read(Query(turns=("Alien",))).links.items == {}
