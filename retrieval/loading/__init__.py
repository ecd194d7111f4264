"""Reading catalogues: a file of any common format in, clean typed items out, and an account of what was left out."""

from __future__ import annotations

from retrieval.loading.load import (
    CatalogueFile,
    CheckedCatalogue,
    LoadedCatalogue,
    RejectedRow,
    check_catalogue,
    load_catalogue,
    open_catalogue,
)
from retrieval.loading.mapping import AttributeRule, Mapping, parse_mapping, read_mapping

__all__ = [
    "AttributeRule",
    "CatalogueFile",
    "CheckedCatalogue",
    "LoadedCatalogue",
    "Mapping",
    "RejectedRow",
    "check_catalogue",
    "load_catalogue",
    "open_catalogue",
    "parse_mapping",
    "read_mapping",
]
