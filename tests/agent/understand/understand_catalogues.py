"""Two small catalogues, and a short notation for what a message should be read as."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from agent.preferences import Added, Fact, Preference
from agent.understand.lexicon import Lexicon
from agent.understand.rules import Rules
from agent.understand.types import AskedQuestion, DialogueContext, Understanding
from retrieval.items import AttributeValue, Item
from retrieval.shape import CatalogueShape

# id | title | year | minutes | director | cast | genres | moods | country | language | format | price | stock | sold
_FILMS = """
alien|Alien|1979|117|Ridley Scott|Sigourney Weaver, Tom Skerritt|Horror, Science Fiction\
|tense, dark|United Kingdom, United States|English|Blu-ray|12.90|y|300
bladerunner|Blade Runner|1982|117|Ridley Scott|Harrison Ford, Rutger Hauer\
|Science Fiction, Thriller|dark, quiet|United States|English|4K UHD|19.90|y|280
shining|The Shining|1980|144|Stanley Kubrick|Jack Nicholson, Shelley Duvall|Horror|dark, violent\
|United States|English|DVD|7.90|y|260
strangelove|Dr. Strangelove|1964|95|Stanley Kubrick|Peter Sellers|Comedy, War|witty, dark\
|United Kingdom|English|Blu-ray|9.90|n|210
pulp|Pulp Fiction|1994|154|Quentin Tarantino|John Travolta, Uma Thurman|Crime, Drama|violent, witty\
|United States|English|Blu-ray|11.90|y|400
kill|Kill Bill|2003|111|Quentin Tarantino|Uma Thurman, Lucy Liu|Action|violent|United States|English|DVD|6.90|y|200
toystory|Toy Story|1995|81|John Lasseter|Tom Hanks, Tim Allen|Animation, Comedy, Family|cosy, funny\
|United States|English|Blu-ray|14.90|y|350
gump|Forrest Gump|1994|142|Robert Zemeckis|Tom Hanks, Robin Wright|Drama, Romance|moving\
|United States|English|DVD|5.90|y|360
harry|When Harry Met Sally...|1989|96|Rob Reiner|Billy Crystal, Meg Ryan|Comedy, Romance\
|cosy, witty|United States|English|DVD|8.90|y|240
amelie|Amélie|2001|122|Jean-Pierre Jeunet|Audrey Tautou|Comedy, Romance|cosy, quirky|France|French|Blu-ray|13.90|y|220
mood|In the Mood for Love|2000|98|Wong Kar-wai|Tony Leung Chiu-wai, Maggie Cheung|Drama, Romance\
|quiet, sad|Hong Kong|Cantonese|4K UHD|24.90|y|150
seven|Seven Samurai|1954|207|Akira Kurosawa|Toshiro Mifune|Action, Drama|epic|Japan|Japanese|Blu-ray|21.90|n|170
heat|Heat|1995|170|Michael Mann|Al Pacino, Robert De Niro|Crime, Thriller|tense|United States\
|English|Blu-ray|10.90|y|230
it|It|2017|135|Andy Muschietti|Bill Skarsgård|Horror|tense, violent|United States|English|4K UHD|17.90|y|190
others|The Others|2001|104|Alejandro Amenábar|Nicole Kidman|Horror, Mystery|quiet, tense|Spain|English|DVD|6.50|y|140
knives|Knives Out|2019|130|Rian Johnson|Daniel Craig, Chris Evans, Ana de Armas|Comedy, Mystery\
|witty, funny|United States|English|4K UHD|18.90|y|250
trek|Star Trek|2009|127|J. J. Abrams|Chris Pine, Zoe Saldana|Action, Science Fiction|exciting\
|United States|English|Blu-ray|9.50|y|230
west|Once Upon a Time in the West|1968|165|Sergio Leone|Henry Fonda, Charles Bronson|Western\
|epic, quiet|Italy|Italian|Blu-ray|15.90|y|180
unforgiven|Unforgiven|1992|130|Clint Eastwood|Clint Eastwood, Gene Hackman|Western, Drama|dark\
|United States|English|DVD|7.50|y|175
singin|Singin' in the Rain|1952|103|Stanley Donen|Gene Kelly, Debbie Reynolds|Musical, Comedy\
|cheerful|United States|English|Blu-ray|12.50|y|185
laputa|Castle in the Sky|1986|124|Hayao Miyazaki|Mayumi Tanaka|Animation, Family|warm|Japan|Japanese|Blu-ray|16.90|y|195
inception|Inception|2010|148|Christopher Nolan|Leonardo DiCaprio, Elliot Page\
|Science Fiction, Thriller|clever, tense|United States|English|4K UHD|14.50|y|420
future|Back to the Future|1985|116|Robert Zemeckis|Michael J. Fox|Comedy, Science Fiction|funny\
|United States|English|Blu-ray|9.90|y|380
army|Army of Shadows|1969|145|Jean-Pierre Melville|Lino Ventura|Drama, War|quiet, tense|France|French|Blu-ray|18.50|y|90
"""

# id | title | brand | category | colour | price | stock | storage_gb | weight_kg | rating | tags | wireless
_GOODS = """
p1|Nova X1|Nova|Smartphones|Black|399|y|128|0.18|4.5|5g, compact|yes
p2|Nova X1 Max|Nova|Smartphones|White|599|y|256|0.21|4.7|5g|yes
p3|Kestrel Lite|Kestrel|Smartphones|Blue|149|y|64|0.17|3.9|budget|yes
p4|Kestrel Pro|Kestrel|Smartphones|Black|449|n|256|0.2|4.4|5g|yes
p5|Orion Book 14|Orion|Laptops|Silver|899|y|512|1.3|4.6|ultralight|yes
p6|Orion Book 16|Orion|Laptops|Black|1299|y|1024|2.1|4.3|gaming|yes
p7|Nova Buds|Nova|Headphones|White|79|y||0.05|4.1|noise cancelling|yes
p8|Bassline 200|Acme|Headphones|Red|19.9|y||0.2|3.5|budget|no
p9|Trail Runner 3|Stride|Running Shoes|Blue|89|y||0.6|4.2|waterproof|no
p10|City Walker|Stride|Sneakers|White|59|n||0.5|4.0|leather|no
p11|Frost Jacket|Acme|Jackets|Black|120|y||0.9|4.4|waterproof, warm|no
p12|Orion Tab|Orion|Tablets|Silver|329|y|128|0.5|4.0|compact|yes
"""


def films() -> list[Item]:
    """Two dozen films with the attributes of the demo shop."""
    items = []
    for line in _FILMS.strip().splitlines():
        (id_, title, year, minutes, director, cast, genre, mood, country, language, form, price, stock, popularity) = (
            line.split("|")
        )
        lists = {
            "director": director,
            "cast": cast,
            "genre": genre,
            "mood": mood,
            "country": country,
            "language": language,
        }
        attributes: dict[str, AttributeValue] = {name: tuple(value.split(", ")) for name, value in lists.items()}
        attributes |= {"year": float(year), "runtime_min": float(minutes), "format": form}
        items.append(
            Item(id_, title, "", attributes, Decimal(price), "EUR", stock == "y", popularity=float(popularity))
        )
    return items


def goods() -> list[Item]:
    """A dozen products of a shop that sells no films."""
    items = []
    for line in _GOODS.strip().splitlines():
        id_, title, brand, category, colour, price, stock, storage, weight, rating, tags, wireless = line.split("|")
        attributes: dict[str, AttributeValue] = {
            "brand": brand,
            "category": category,
            "colour": colour,
            "wireless": wireless,
        }
        attributes |= {"weight_kg": float(weight), "rating": float(rating), "tags": tuple(tags.split(", "))}
        if storage:
            attributes["storage_gb"] = float(storage)
        items.append(Item(id_, title, "", attributes, Decimal(price), "EUR", stock == "y"))
    return items


def rules_for(items: Sequence[Item]) -> Rules:
    """Rules over a list of items."""
    by_id = {item.id: item for item in items}
    return Rules(Lexicon.of(items, CatalogueShape.of(items)), by_id.__getitem__)


def wish(
    id_: str,
    attribute: str | None,
    op: str,
    *values: str | float,
    kind: str = "hard",
    polarity: str = "positive",
    evidence: str = "",
) -> Preference:
    """A wish of an earlier turn."""
    return Preference(id_, kind, attribute, op, values, polarity, evidence or " ".join(map(str, values)), 1)  # type: ignore[arg-type]


FILM_CONTEXTS: dict[str, DialogueContext] = {
    "": DialogueContext(),
    "list": DialogueContext(turn=2, shown=(("alien", "shining", "pulp", "amelie", "heat"),)),
    "focus": DialogueContext(turn=3, shown=(("alien", "shining", "pulp", "amelie", "heat"),), focus=("pulp",)),
    "two lists": DialogueContext(turn=3, shown=(("alien", "shining"), ("toystory", "gump", "knives"))),
    "genre asked": DialogueContext(turn=2, asked=AskedQuestion("genre", ("Comedy", "Drama", "Horror"))),
    "minutes asked": DialogueContext(turn=2, asked=AskedQuestion("runtime_min", ("under 90 minutes", "under 2 hours"))),
    "wishes": DialogueContext(
        turn=4,
        preferences=(
            wish("t1-1", "genre", "eq", "Comedy", evidence="a comedy"),
            wish("t1-2", "price", "le", 15.0, evidence="under 15"),
            wish("t2-1", "cast", "eq", "Chris Evans"),
            wish("t3-1", "year", "ge", 1990.0),
        ),
    ),
    "soft person": DialogueContext(turn=2, preferences=(wish("t1-1", "director", "eq", "Ridley Scott", kind="soft"),)),
    "person": DialogueContext(
        turn=2,
        preferences=(wish("t1-1", "cast", "eq", "Tom Hanks"),),
        shown=(("toystory", "gump"),),
        focus=("toystory", "gump"),
    ),
    "country": DialogueContext(
        turn=2,
        preferences=(
            wish("t1-1", "country", "eq", "Italy", evidence="made in Italy"),
            wish("t1-2", "genre", "eq", "Western"),
        ),
    ),
    "asked director": DialogueContext(
        turn=3, shown=(("alien", "heat", "pulp"),), focus=("alien",), questions=("who directed Alien?",)
    ),
    "asked cast": DialogueContext(
        turn=3, shown=(("alien", "heat", "harry"),), focus=("harry",), questions=("who is in the third one?",)
    ),
    "90s": DialogueContext(
        turn=2, preferences=(wish("t1-1", "year", "ge", 1990.0), wish("t1-2", "year", "le", 1999.0))
    ),
}  # fmt: skip
SHOP_CONTEXTS: dict[str, DialogueContext] = {
    "": DialogueContext(),
    "list": DialogueContext(turn=2, shown=(("p1", "p3", "p4"),)),
    "focus": DialogueContext(turn=2, shown=(("p1", "p3", "p4"),), focus=("p1",)),
}

_SIGNS = {"eq": "=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "about": " about ", "like": " like "}


def notation(result: Understanding) -> set[str]:
    """One string for each thing read: "recommend", "H genre=Comedy", "-S like alien", "?...", "drop price"."""
    parts: set[str] = {result.intent}
    for mark, facts in (("", result.facts), ("?", result.doubtful)):
        parts |= {mark + _fact(fact) for fact in facts}
    if result.item_ids:
        parts.add("ids " + ",".join(result.item_ids))
    if result.attribute:
        parts.add(f"attr {result.attribute}")
    if result.intent == "superlative" and not result.descending:
        parts.add("least")
    if result.said and result.intent in ("unknown_item", "recommend"):
        parts.add(f"said {result.said}")
    if result.support_text is not None and result.intent != "support":
        parts.add("support")
    return parts


def _fact(fact: Fact) -> str:
    if not isinstance(fact, Added):
        return "drop " + ("everything" if fact.everything else ",".join(fact.preference_ids or fact.attributes))
    p = fact.preference
    values = "/".join(f"{value:g}" if isinstance(value, float) else str(value) for value in p.values)
    sign = "-" if p.polarity == "negative" else ""
    return f"{sign}{p.kind[0].upper()} {p.attribute or ''}{_SIGNS[p.op]}{values}".replace("  ", " ")
