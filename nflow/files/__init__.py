"""Workflow files: which there are, what is in each, and what the settings add to what it says."""
