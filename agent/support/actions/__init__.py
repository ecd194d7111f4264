"""What the bot may do with a customer's order: look it up, cancel it, take discs back, change where it goes.

`orders` has the values and the connector protocol, `sql` and `http` are connectors, `policy` says by code what may be
done now, `reading` what a message asks for, `desk` puts them into a conversation.
"""
