"""Learned ranking: features, the learned ranker, what one conversation teaches, and what reactions are worth."""
