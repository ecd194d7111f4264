"""Simulated customers: needs drawn from a catalogue, a customer who pursues one, and what a bot made of it."""
