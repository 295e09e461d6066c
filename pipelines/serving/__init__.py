"""Serving over HTTP: the champion answers, and what it answered is tomorrow's log."""
