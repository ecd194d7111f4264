"""MovieLens files: titles as people write them, films found again in a catalogue, bad folders."""

import gzip
from pathlib import Path

import pytest
from retrieval_doubles import SHARED_MOVIES, read_films

from retrieval.errors import CatalogueError
from retrieval.items import Item
from retrieval.ratings.movielens import join, read_movielens
from retrieval.table import ItemTable

SHARED = SHARED_MOVIES.parents[1] / "movielens-latest-small-2016"
MOVIES = """movieId,title,genres
7,"Matrix, The (1999)",Action|Sci-Fi
9,Seven (a.k.a. Se7en) (1995),Thriller
11,"Legend of 1900, The (a.k.a. The Pianist) (Leggenda del pianista, La) (1998)",Drama
12,Hyena Road,(no genres listed)
13,Fawlty Towers (1975-1979) ,Comedy
14,Star Wars: Episode IV - A New Hope (1977),Sci-Fi
15,Halloween (1978),Horror
16,Halloween (2007),Horror
17,Léon & Zoë (2000),Drama
"""
RATINGS = """userId,movieId,rating,timestamp
1,7,4.5,1
1,9,2.0,2
2,7,1,3
2,16,3.5,4
3,16,3.5,4
"""


def written(folder: Path, movies: str = MOVIES, ratings: str = RATINGS) -> Path:
    (folder / "movies.csv").write_text(movies, encoding="utf-8")
    (folder / "ratings.csv.gz").write_bytes(gzip.compress(ratings.encode()))
    return folder


def joined(folder: Path, *items: tuple[str, float | None]) -> dict[str, str]:
    """MovieLens id -> title of the item, with its number where it has one."""
    movies = read_movielens(written(folder))
    table = ItemTable(
        [
            Item(f"{n}:{title}", title, attributes={"year": year} if year else {})
            for n, (title, year) in enumerate(items)
        ]
    )
    return {movies.films[film].id: item_id for film, item_id in join(table, movies).items()}


def test_titles_years_genres_and_ratings_are_read(tmp_path: Path) -> None:
    found = read_movielens(written(tmp_path))
    films = {film.id: film for film in found.films}
    assert films["7"].titles == ("The Matrix",)
    assert films["9"].titles == ("Seven", "Se7en")
    assert films["11"].titles == ("The Legend of 1900", "The Pianist", "La Leggenda del pianista")
    assert [films[one].year for one in ("7", "12", "13")] == [1999, None, 1975]
    assert (films["7"].genres, films["12"].genres) == (("Action", "Sci-Fi"), ())
    assert found.ratings.user.tolist() == [0, 0, 1, 1, 2]
    assert [found.films[film].id for film in found.ratings.item] == ["7", "9", "7", "16", "16"]
    assert found.ratings.stars.tolist() == [4.5, 2.0, 1.0, 3.5, 3.5]


def test_a_film_is_found_by_any_title_and_a_near_year(tmp_path: Path) -> None:
    assert joined(tmp_path, ("Matrix", 1998), ("Se7en", 1995), ("LEON AND ZOE", 2001)) == {
        "7": "0:Matrix",
        "9": "1:Se7en",
        "17": "2:LEON AND ZOE",
    }


def test_another_year_is_another_film(tmp_path: Path) -> None:
    assert joined(tmp_path, ("The Matrix", 1997), ("Halloween", 2007)) == {"16": "1:Halloween"}


def test_each_film_and_each_item_has_one_partner_the_nearest_year_first(tmp_path: Path) -> None:
    found = joined(tmp_path, ("Halloween", None), ("Halloween", 1979), ("Halloween", 1978))
    assert found == {"15": "2:Halloween", "16": "0:Halloween"}, "the item without a year takes the film that is left"


def test_an_item_without_a_year_takes_the_film_with_more_ratings(tmp_path: Path) -> None:
    assert joined(tmp_path, ("Halloween", None)) == {"16": "0:Halloween"}


def test_up_to_the_colon_only_in_the_very_year(tmp_path: Path) -> None:
    assert joined(tmp_path, ("Star Wars", 1977)) == {"14": "0:Star Wars"}
    assert joined(tmp_path, ("Star Wars", 1978), ("Star Wars", None)) == {}


def test_ratings_become_attitudes_of_the_films_that_have_an_item(tmp_path: Path) -> None:
    found = read_movielens(written(tmp_path)).interactions({0: "matrix", 7: "halloween"})
    assert list(found.triples()) == [
        ("movielens:0", "matrix", 1.5),
        ("movielens:1", "matrix", -2.0),
        ("movielens:1", "halloween", 0.5),
        ("movielens:2", "halloween", 0.5),
    ]


@pytest.mark.parametrize(
    ("movies", "ratings", "words"),
    [
        ("id,name\n1,x\n", RATINGS, "needs the columns movieId, title, genres"),
        (MOVIES + "18,cut\n", RATINGS, "line 11 .* has 2 columns"),
        (MOVIES + ",nothing,\n", RATINGS, "line 11 .* no movieId"),
        (MOVIES, "userId,movieId,rating\n1,7,6\n", "rating '6', expected 0.5 .. 5"),
        (MOVIES, "userId,movieId,rating\n1,7,good\n", "rating 'good'"),
        (MOVIES, "userId,movieId,rating\n1,99,5\n", "rates the film '99'"),
        ("", RATINGS, "needs the columns"),
    ],
)
def test_a_bad_file_is_said_in_one_sentence(movies: str, ratings: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=words):
        read_movielens(written(tmp_path, movies, ratings))


def test_a_folder_without_the_files_and_one_that_is_no_gzip(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="give a MovieLens folder"):
        read_movielens(tmp_path)
    written(tmp_path)
    (tmp_path / "ratings.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(CatalogueError, match="cannot be read"):
        read_movielens(tmp_path)


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_the_real_files_and_how_many_popular_films_are_found() -> None:
    found = read_movielens(SHARED)
    assert (len(found.films), len(found.ratings), found.ratings.n_users) == (9_125, 100_004, 671)
    partners = join(ItemTable(read_films(3_000)), found)
    assert len(partners) > 1_800
    assert len(set(partners.values())) == len(partners)
