"""Sentences that people read: English at their source, any language on a page."""
