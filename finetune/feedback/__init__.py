"""What customers said of answers, as rows to learn from: gathered, masked, weighed, and shown to a human in doubt."""
