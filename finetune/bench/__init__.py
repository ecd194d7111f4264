"""Forgetting, measured: streams of examples in blocks, every way to learn from them, what is known afterwards."""
