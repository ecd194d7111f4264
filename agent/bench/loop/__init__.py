"""The whole learning loop, held against a town of simulated customers whose taste the shop does not know."""
