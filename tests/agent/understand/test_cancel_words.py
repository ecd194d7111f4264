"""When "cancel" is about the shop's service: with something that a shop cancels, or alone."""

from __future__ import annotations

import pytest

from agent.understand.intents import SUPPORT


@pytest.mark.parametrize(
    "text",
    ["cancel", "please cancel", "how do i cancel?", "is it too late to cancel", "cancel rs-10056",
     "cancel the last order", "cancel my subscription", "my delivery was cancelled", "cancelling my account",
     "what is your cancellation policy"],
)  # fmt: skip
def test_of_service(text: str) -> None:
    assert SUPPORT.search(text)


@pytest.mark.parametrize(
    "text",
    ["cancel culture documentary", "i want to cancel my evening plans and watch a comedy",
     "something cheaper, cancel the thriller wish", "cancel that", "noise cancelling headphones"],
)  # fmt: skip
def test_of_a_wish(text: str) -> None:
    assert not SUPPORT.search(text)
