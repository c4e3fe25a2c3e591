"""Decisions, pure: what this server shall run and why, and the smallest ordered change that gets there."""
