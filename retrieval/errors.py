"""The exception tree of the whole product. Each class says who must hear it.

ChatalogueError
    SettingsError           the operator: a setting is wrong or missing
    CatalogueError          the operator: the catalogue's data is wrong
    IndexUnavailable        the operator: no usable index (the API answers 503)
    DataDirectoryError      the operator: the data directory cannot be used
    ModelUnavailable        the operator: weights cannot be had; says what to set
    EngineError             the conversation: it degrades to rules and templates
        EngineBusy          the customer: the queue is full, try again
        EngineTimeout       the conversation: the budget of a call is spent
    NotFound                the API client: an id that we never gave out
    BadRequest              the API client or the customer: the input, and what was expected

The message is one sentence for a person: what happened, what was expected, what to do next.
"""

from __future__ import annotations


class ChatalogueError(Exception):
    """Base of every error that is meant for a person; `str(error)` is fit to be shown."""


class SettingsError(ChatalogueError):
    """A setting is wrong or missing; tell the operator."""


class CatalogueError(ChatalogueError):
    """The operator's data is wrong; tell the operator, not the shopper."""


class IndexUnavailable(ChatalogueError):
    """There is no complete index to search; tell the operator."""


class DataDirectoryError(ChatalogueError):
    """The data directory is read-only, full or in use by another server; tell the operator."""


class ModelUnavailable(ChatalogueError):
    """Model weights cannot be had; tell the operator what to set."""


class EngineError(ChatalogueError):
    """The language model failed; the conversation goes on without it and says so."""


class EngineBusy(EngineError):
    """The engine's queue is full; the customer may try again."""


class EngineTimeout(EngineError):
    """A call used up its budget of seconds."""


class NotFound(ChatalogueError):
    """An id that we never gave out; tell the API client."""


class BadRequest(ChatalogueError):
    """The input cannot be used; tell whoever sent it what was expected."""
