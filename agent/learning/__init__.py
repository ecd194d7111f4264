"""What the event log teaches: lessons of talks, opened to others as they come, and customers' lasting tastes.

Everything here is worked out from the log and may be lost; nothing is written.
"""
