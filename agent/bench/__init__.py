"""Measures the conversation: scripted talks as they come out, and how long single turns take."""
