"""Who rated what: reading and joining ratings, item-item models of them, and the prediction of a rating from texts."""
