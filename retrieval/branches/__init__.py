"""Ways of finding items beside the vectors and words of their descriptions; some learn from what was accepted."""
