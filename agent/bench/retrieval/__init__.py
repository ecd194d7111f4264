"""Recommendation dialogues as a benchmark: reading them, scoring ranked lists, finding leaks."""
