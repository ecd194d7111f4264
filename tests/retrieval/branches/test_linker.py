"""What a turn names: titles with and without years, typos, everyday words, people, categories."""

import pytest
from branch_doubles import films

from retrieval.branches.base import RECENCY
from retrieval.branches.linker import EntityLinker
from retrieval.items import Item
from retrieval.table import ItemTable

TABLE = films()
LINKER = EntityLinker(TABLE)


def titles(*turns: str) -> list[str]:
    return sorted(TABLE.ids[row] for row in LINKER.link(turns).items)


def values(*turns: str) -> list[str]:
    return sorted(value for _, value in LINKER.link(turns).values)


@pytest.mark.parametrize(
    ("turn", "named"),
    [
        ("I loved Heat (1995)", ["Heat/1995"]),
        ("I loved Heat 1995 a lot", ["Heat/1995"]),
        ("I loved Heat (1994)", ["Heat/1995"]),  # one year off
        ("I loved Heat (1950)", []),  # another film of that name
        ("heat (1972)", ["Heat/1972"]),
        ("I loved Heat a lot", ["Heat/1972", "Heat/1995"]),  # namesakes
        ("have you seen 'heat'?", ["Heat/1972", "Heat/1995"]),
        ("i want to beat the heat today", []),
        ("cheer me up", []),
        ("what is up with it", []),
        ("I cried when I saw Up.", ["Up/2009"]),
        ('a film like "up"', ["Up/2009"]),
        ("up (2009)", ["Up/2009"]),
        ("have a good time", ["Good Time/2017"]),  # two words in small letters: doubtful, see below
        ("blade runner was fine", ["Blade Runner/1982"]),
        ("Blade Runner 2049 was fine", ["Blade Runner 2049/2017"]),  # the longest
        ("blade runner (1982)", ["Blade Runner/1982"]),
        ("bladerunner", ["Blade Runner/1982"]),
        ("inseption and allien", ["Alien/1979", "Inception/2010"]),
        ("hear me out", []),  # no slip for "heat": an everyday word
        ("spiderman homecoming", ["Spider-Man: Homecoming/2017"]),
        ("Spider-man", ["Spider-Man: Homecoming/2017"]),  # without its subtitle
        ("Spider-Man: Homecomming", ["Spider-Man: Homecoming/2017"]),  # not the shorter name that is spelt right
        ("blade runer 2049", ["Blade Runner 2049/2017"]),
        ("the godfather", ["The Godfather/1972"]),
        ("godfather", ["The Godfather/1972"]),
        ("AMELIE", ["Amélie/2001"]),
        ("Amélie's music", ["Amélie/2001"]),
        ("amelie", ["Amélie/2001"]),
        ("", []),
        ("?! \u200b 🎬", []),
    ],
)
def test_titles(turn: str, named: list[str]) -> None:
    assert titles(turn) == named


@pytest.mark.parametrize(
    ("turn", "named"),
    [
        ("anything by michael mann?", ["michael mann"]),
        ("anything by Micheal Mann?", ["michael mann"]),
        ("with robert de niro", ["robert de niro"]),
        ("with Robert DeNiro", ["robert de niro"]),
        ("something by Villeneuve", ["denis villeneuve"]),
        ("something by Coppola", ["francis ford coppola"]),
        ("something with Ford", []),  # an everyday word is no surname
        ("crime comedies", ["comedy", "crime"]),
        ("some science fiction", ["science fiction"]),
        ("science", []),
    ],
)
def test_values(turn: str, named: list[str]) -> None:
    assert values(turn) == named


def test_doubt_lowers_the_weight() -> None:
    def weight(turn: str, item_id: str) -> float:
        return LINKER.link([turn]).items[TABLE.row_of(item_id)]

    assert weight("I loved Heat (1995)", "Heat/1995") == 1.0
    assert weight("I loved Heat a lot", "Heat/1995") < 0.5  # shared
    assert weight("godfather", "The Godfather/1972") < weight("the godfather", "The Godfather/1972") == 1.0
    assert weight("inseption", "Inception/2010") < weight("inception", "Inception/2010") == 1.0
    assert weight("have a good time", "Good Time/2017") < weight("I saw Good Time", "Good Time/2017")


def test_a_surname_of_two_people_is_nobody() -> None:
    scotts = ItemTable(
        [Item("a", "A", attributes={"director": "Ridley Zott"}), Item("b", "B", attributes={"director": "Tony Zott"})]
    )
    linker = EntityLinker(scotts)
    assert not linker.link(["Zott"]).values
    assert set(linker.link(["Ridley Zott"]).values) == {("director", "ridley zott")}


def test_the_latest_turn_counts_most() -> None:
    links = LINKER.link(["Alien (1979)", "Inception", "hm", "inception"])
    assert links.items[TABLE.row_of("Inception/2010")] == 1.0
    assert links.items[TABLE.row_of("Alien/1979")] == pytest.approx(RECENCY**3)


def test_capitals_say_nothing_where_all_is_in_capitals() -> None:
    assert titles("WHAT IS UP WITH THE HEAT TODAY") == []
    assert titles("I LOVED BLADE RUNNER") == ["Blade Runner/1982"]


def test_other_catalogues_and_scripts() -> None:
    shop = ItemTable(
        [
            Item("t", "Trail Tent 3000", attributes={"brand": "Nordwind", "colour": "black", "sizes": ("S", "M")}),
            Item("b", "活着", attributes={"brand": "Nordwind", "colour": "red"}),
            *[Item(f"x{i}", "", attributes={"brand": "Nordwind", "colour": "red"}) for i in range(6)],
        ]
    )
    linker = EntityLinker(shop)
    assert list(linker.link(["is the trail tent 3000 in stock?"]).items) == [0]
    assert list(linker.link(["我喜欢 活着"]).items) == [1]
    assert set(linker.link(["a black one by nordwind"]).values) == {("colour", "black"), ("brand", "nordwind")}
    assert not EntityLinker(ItemTable([])).link(["anything"]).items


def test_long_turns_end() -> None:
    linked = LINKER.link(["inseption allien micheal " * 3_000, "Inception"])
    assert linked.items[TABLE.row_of("Inception/2010")] == 1.0
