"""A support shift: scripted conversations with a served shop, each step with what must and must not come of it."""
