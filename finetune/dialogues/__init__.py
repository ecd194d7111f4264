"""Dialogues with gold facts, made by a seeded grammar from any catalogue: material to train on and to test on."""
