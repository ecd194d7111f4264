"""The check of sentences about an item: planted false claims are refused, true sentences pass."""

import json

import pytest

from agent.grounding import Grounding
from retrieval.demo import demo_films_path
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.shape import CatalogueShape

FILMS = load_catalogue(demo_films_path(), strict=True).items
SHAPE = CatalogueShape.of(FILMS)
BY_TITLE = {film.title: film for film in FILMS}


def objection(title: str, sentence: str, wish: str = "") -> str | None:
    return Grounding(BY_TITLE[title], SHAPE, wish).objection(sentence)


FALSE = [
    # numbers
    ("Alien", "Alien was released in 1986."),
    ("Alien", "Alien runs for 137 minutes."),
    ("Alien", "Alien is a 1979 minute film about the crew of a space tug."),
    ("Alien", "Alien follows seven members of the crew of the space tug Nostromo."),
    ("Alien", "Alien is the second film about the deadly creature."),
    ("Alien", "The crew spend 57 years on an unknown world."),
    ("Jaws", "Jaws follows dozens of shark hunters."),
    # money, stock and the shop's own affairs
    ("Alien", "Alien costs 9.99 EUR."),
    ("Alien", "You can have this tense horror film for 14.50."),
    ("Alien", "Alien is a tense thriller for just €9."),
    ("Alien", "Alien is in stock and comes with free shipping."),
    ("Alien", "This tense horror film is available on Netflix."),
    ("Alien", "Order this tense horror film today and get a discount."),
    ("Alien", "The disc has German subtitles and a space tug."),
    ("Alien", "Alien is a tense thriller on 4K Ultra HD."),
    # people
    ("Alien", "Alien was directed by James Cameron."),
    ("Alien", "Alien was directed by Sigourney Weaver."),
    ("Alien", "Ian Holm directed this tense horror film."),
    ("Alien", "Alien stars Tom Cruise."),
    ("Alien", "Alien stars Sigourney Weaver and Ridley Scott."),
    ("Alien", "Ridley Scott stars in this tense space thriller."),
    ("Alien", "It was written by John Hurt."),
    ("Alien", "The music by Jerry Goldsmith makes it tense and eerie."),
    ("The Dark Knight", "The Dark Knight was directed by Christian Nolan."),
    ("The Dark Knight", "It stars Christopher Bale as Gotham's vigilante."),
    ("Heat", "Ripley investigates a crime in Los Angeles."),
    # awards, ratings, opinion of others
    ("Heat", "Heat won an award for its crime drama."),
    ("Heat", "Heat is an Oscar-nominated crime drama."),
    ("Heat", "Critics call it a cool crime drama."),
    ("Heat", "It is rated 8.3 by the people of Los Angeles."),
    ("Heat", "Heat is one of the most popular crime dramas."),
    ("Heat", "Heat is a classic crime drama."),
    ("Heat", "Heat is the best crime drama of its time."),
    # relations between works
    ("Alien", "Alien is the sequel to a space film."),
    ("Alien", "Alien is based on a true story about a space crew."),
    ("Alien", "Alien is the beginning of a franchise about a deadly creature."),
    ("Alien", "Alien is as tense as Blade Runner."),
    ("Heat", "Like The Godfather, Heat is a crime drama."),
    # values that the film does not have
    ("Alien", "Alien is a romantic comedy about the crew of a space tug."),
    ("Alien", "Alien is a comedic thriller about the crew of the space tug Nostromo."),
    ("Alien", "Alien is a musical about the crew of the space tug Nostromo."),
    ("Alien", "Alien is a French film about the crew of the space tug Nostromo."),
    ("Groundhog Day", "Groundhog Day is a violent film about a jaded television weatherman."),
    ("Jaws", "Jaws is a heartwarming film about a police chief and a shark hunter."),
    # meanings turned round
    ("Alien", "Alien is not violent."),
    ("Alien", "Alien is a tense horror film without monsters."),
    ("Heat", "Heat isn't violent."),
    ("Alien", "Alien is suitable for children who like space."),
    # made up
    ("Alien", "Alien tells of a lonely farmer who plants wheat and learns to dance."),
    ("Alien", "Absolutely stunning visuals, brilliant pacing, unforgettable experience."),
    ("Alien", "It is what it is."),
    ("Alien", ""),
    # talk of itself, of the prompt, and markup
    ("Alien", "I think Alien is a tense horror film."),
    ("Alien", "As an AI language model, it is a tense horror film."),
    ("Alien", "Our crew of the space tug Nostromo is tense."),
    ("Alien", "The system prompt says it is a tense horror film."),
    ("Alien", "Use only facts from the item."),
    ("Alien", "The customer wants a tense horror film in space."),
    ("Alien", "</item> Alien is a tense horror film."),
    ("Alien", "Alien is a **tense** horror film."),
    ("Alien", "Alien is a tense horror film, see https://shop.example/alien."),
    ("Alien", "Alien is a tense horror film, see spam.com for more."),
    ("Alien", "Alien is a [tense](javascript:alert) horror film."),
]

TRUE = [
    (
        "Alien",
        "Alien follows the crew of the space tug Nostromo, who investigate an abandoned ship on an unknown world.",
    ),
    ("Alien", "Alien is a tense and spooky film in which a deadly creature gets loose aboard the ship."),
    ("Alien", "It was directed by Ridley Scott and stars Sigourney Weaver and Tom Skerritt."),
    ("Alien", "Released in 1979, it runs 117 minutes."),
    ("Alien", "It is a close and eerie horror film about isolation and dread."),
    ("Heat", "Heat is a cool, wide-ranging crime drama set in Los Angeles."),
    ("Heat", "It follows a detective and a lifelong criminal who are locked in a contest."),
    ("Heat", "Al Pacino and Robert De Niro star in this tense crime drama directed by Michael Mann."),
    ("Heat", "Michael Mann directed this 170 minute crime thriller."),
    ("Groundhog Day", "Bill Murray stars as a jaded weatherman covering a yearly event in Punxsutawney."),
    ("Groundhog Day", "It was released in 1993 and runs for 101 minutes."),
    ("Jaws", "Jaws is about a police chief who joins a shark hunter to go after a great white shark."),
    ("Jaws", "Steven Spielberg directed this thriller, which is set in a seaside holiday town."),
    ("Jaws", "Fear of what lies under the water gives it a grip that never loosens."),
    ("Jaws", "Roy Scheider, Robert Shaw and Richard Dreyfuss star in it."),
    ("Interstellar", "Interstellar follows a team of astronauts who enter a wormhole close to Saturn."),
    ("Interstellar", "It is an epic and emotional science fiction film about survival and family."),
    ("Interstellar", "Christopher Nolan directed it, and it stars Matthew McConaughey and Anne Hathaway."),
    ("The Dark Knight", "Christian Bale and Heath Ledger star in Christopher Nolan's dense crime story."),
    ("The Godfather", "The Godfather is a grave and patient crime drama about the Corleone family."),
    ("The Godfather", "Vito's youngest son Michael hardens into a boss."),
]


@pytest.mark.parametrize(("title", "sentence"), FALSE)
def test_what_no_field_says_is_refused(title: str, sentence: str) -> None:
    assert objection(title, sentence) is not None


@pytest.mark.parametrize(("title", "sentence"), TRUE)
def test_what_the_fields_say_is_accepted(title: str, sentence: str) -> None:
    assert objection(title, sentence) is None


def test_there_are_enough_of_each() -> None:
    assert len(FALSE) >= 30
    assert len(TRUE) >= 20
    assert len({title for title, _ in TRUE}) >= 5


def test_a_sentence_of_one_film_is_refused_of_another() -> None:
    pairs = [(title, other, sentence) for title, sentence in TRUE for other in {t for t, _ in TRUE} if other != title]
    accepted = [(other, sentence) for _, other, sentence in pairs if objection(other, sentence) is None]
    assert accepted == []


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("Groundhog Day", "It is a funny and heartwarming film with a romantic side."),
        ("Interstellar", "With humanity barely hanging on, a team looks for another world where people might live."),
        ("Psycho", "Psycho follows a cop who runs away with embezzled money."),
    ],
)
def test_one_word_that_no_field_has_is_enough_to_refuse(title: str, sentence: str) -> None:
    """True or not: the check cannot tell, so the catalogue's own words are shown."""
    assert "of its words stand" in str(objection(title, sentence))


def test_a_model_that_is_stuck_is_refused() -> None:
    assert "twice" in str(objection("Heat", "Heat is a crime drama, a crime drama, a crime drama."))


def test_every_film_may_be_told_in_its_own_words() -> None:
    """The text of an item backs itself, but for claims that the shop does not want told (no more than a few)."""
    refused = [(film.title, why) for film in FILMS if (why := Grounding(film, SHAPE).objection(film.text))]
    assert len(refused) <= 0.01 * len(FILMS), refused[:20]


def test_the_customers_own_words_may_be_repeated_but_prove_nothing() -> None:
    said = "This tense film about isolation suits a cosy rainy evening."
    assert objection("Alien", said) is not None
    assert objection("Alien", said, wish="a cosy film for a rainy evening") is None
    assert objection("Alien", "Alien is a comedy about isolation and dread.", wish="comedy") is not None
    assert objection("Alien", "Alien won awards for its horror.", wish="something that won awards") is not None


def test_a_title_with_a_word_of_self_talk_may_be_named() -> None:
    robot = Item("r", "I, Robot", "A detective hunts a robot through a city of the future.", {"year": 2004.0})
    shape = CatalogueShape.of([robot])
    assert Grounding(robot, shape).objection("I, Robot is about a detective who hunts a robot.") is None
    assert Grounding(robot, shape).objection("I think a detective hunts a robot.") is not None


def test_possessives_and_accents_are_the_same_name() -> None:
    item = Item("z", "Trek", "Nyota serves on a ship.", {"cast": ("Zoe Saldaña",)})
    grounding = Grounding(item, CatalogueShape.of([item]))
    assert grounding.objection("Zoe Saldana's Nyota serves on a ship.") is None
    assert grounding.objection("Zoe Saldaña’s Nyota serves on a ship.") is None


def test_numbers_read_from_json_as_integers_are_known() -> None:
    item = Item("i", "Tug", "A tug tows a ship.", json.loads('{"runtime_min": 90, "year": 1990}'))
    grounding = Grounding(item, CatalogueShape.of([item]))
    assert grounding.objection("Tug is a 90-minute film from 1990 about a tug and a ship.") is None
    assert grounding.objection("Tug is a 95-minute film from 1990 about a tug and a ship.") is not None


def test_an_objection_names_what_it_objects_to() -> None:
    assert objection("Alien", "Alien was directed by James Cameron.") == "'james cameron' is not its director"
    assert "1986" in str(objection("Alien", "Alien was released in 1986."))
    assert "'Comedy'" in str(objection("Alien", "Alien is a comedy about dread."))


def test_a_name_that_the_text_gives_its_part_is_backed_where_the_sentence_ends_with_it() -> None:
    item = Item("f", "Lost Film", "Lost Film is a silent film directed by Fred E. Wright and starring Ann Murdock.",
                {"director": ("F. Wright",), "cast": ("Ann Murdock",)})  # fmt: skip
    check = Grounding(item, SHAPE)
    assert check.objection("Lost Film is a silent film directed by Fred E. Wright.") is None
    assert "director" in str(check.objection("Lost Film is a silent film directed by Ann Murdock."))


def test_a_title_with_a_word_of_ours_is_no_talk_of_itself_in_any_case() -> None:
    item = Item("m", "My Antonia", "My Antonia is a drama film.", {"genre": ("Drama",)})
    assert Grounding(item, SHAPE).objection("my Antonia is a drama film.") is None
    assert "talk" in str(Grounding(item, SHAPE).objection("My Antonia is my drama film."))
