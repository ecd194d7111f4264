"""Language model or reinforcement learning: who finds what customers like, and how soon."""
