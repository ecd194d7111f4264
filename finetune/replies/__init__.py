"""Replies with gold answers, made by rules from any catalogue: material to train on and to test on."""
