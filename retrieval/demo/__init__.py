"""The Reel Shop: an invented online shop for real films, what a fresh installation talks about.

Only says where the shipped files are. Knows nothing of indexes; `tools` makes and checks the files.
"""

from __future__ import annotations

from pathlib import Path

SHOP_NAME = "The Reel Shop"

_FOLDER = Path(__file__).resolve().parent


def demo_films_path() -> Path:
    """The catalogue: JSON lines in the format of `chatalogue index`, no mapping needed."""
    return _FOLDER / "films.jsonl"


def demo_articles_dir() -> Path:
    """The help articles: one Markdown file each, front matter with `id`, `url` and `updated`."""
    return _FOLDER / "articles"


def demo_orders_path() -> Path:
    """The demo orders: JSON lines, oldest first, customers as e-mail addresses at example.com."""
    return _FOLDER / "orders.jsonl"
