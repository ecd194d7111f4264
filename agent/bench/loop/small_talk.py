"""Messages to a shop that are no wishes for items: they must be answered as before, whatever was learned."""

from __future__ import annotations

from typing import Final

SMALL_TALK: Final = (
    "hello", "good evening!", "thanks, that was helpful", "bye", "how are you?", "who are you?", "are you a robot?",
    "what can you do?", "tell me a joke", "what's the weather like?", "what is 17 times 3?", "who won the election?",
    "How long does delivery to France take?", "What does delivery to Austria cost?", "Can I return an opened film?",
    "Which region code do your Blu-rays have?", "Do you sell gift cards?", "How do I change my address?",
    "Where is my order RS-10001?", "Can I cancel my order?", "I forgot my password", "Do you take PayPal?",
    "I want to talk to a human", "How many films do you have?",
)  # fmt: skip
