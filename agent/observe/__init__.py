"""What the operator sees of the conversation: metrics, log lines' ids and traces, put around the parts at wiring."""
