"""What the operator sees of orders: counters for Prometheus. No order, customer or tenant is ever a label."""

from __future__ import annotations

from typing import Protocol, get_args

from prometheus_client import CollectorRegistry, Counter

from agent.support.actions.orders import ChangeKind


class OrdersWatcher(Protocol):
    """Who counts; called from any thread."""

    def changed(self, kind: str, result: str) -> None:
        """A confirmed change has ended so."""
        ...

    def proof_failed(self, why: str) -> None:
        """Somebody gave a wrong proof, or one too many."""
        ...

    def connector_failed(self, error: str) -> None:
        """The order system did not do what it was asked; the error's class."""
        ...


class Unwatched:
    """Counts nothing."""

    def changed(self, kind: str, result: str) -> None:
        """See `OrdersWatcher`."""

    def proof_failed(self, why: str) -> None:
        """See `OrdersWatcher`."""

    def connector_failed(self, error: str) -> None:
        """See `OrdersWatcher`."""


NOBODY = Unwatched()


class OrderMetrics:
    """Counters in a server's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._changes = Counter(
            "chatalogue_order_changes", "Confirmed changes of orders, by what and how they ended",
            ["change", "result"], registry=registry,
        )  # fmt: skip
        self._proofs = Counter(
            "chatalogue_order_proofs_failed", "Proofs of identity that were wrong, or one too many", ["why"],
            registry=registry,
        )  # fmt: skip
        self._errors = Counter(
            "chatalogue_order_system_errors", "Calls of the order system that failed, by the error's class", ["error"],
            registry=registry,
        )  # fmt: skip
        for change in get_args(ChangeKind):
            self._changes.labels(change, "done")
        for why in ("wrong", "locked"):
            self._proofs.labels(why)
        for error in ("OrdersUnavailable", "OutcomeUnknown"):
            self._errors.labels(error)

    def changed(self, kind: str, result: str) -> None:
        """See `OrdersWatcher`."""
        self._changes.labels(kind, result).inc()

    def proof_failed(self, why: str) -> None:
        """See `OrdersWatcher`."""
        self._proofs.labels(why).inc()

    def connector_failed(self, error: str) -> None:
        """See `OrdersWatcher`."""
        self._errors.labels(error).inc()
