"""From what was logged to a better adapter: examples, training. Loads nothing heavy when it is imported."""
