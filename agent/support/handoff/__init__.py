"""A conversation goes to people and comes back: who has it, what they are told, and when the bot is silent."""
