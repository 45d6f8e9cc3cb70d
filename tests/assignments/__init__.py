"""Assignments tried against wrong solutions."""
