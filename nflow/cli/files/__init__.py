"""Workflow files: found by name, read without harm to this process, checked, listed; and those to learn from."""
