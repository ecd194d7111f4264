"""What another way of ranking would have earned, from lists that were shown under chance: no customer needed."""
