"""`nflow runs`, `nflow show`, `nflow history`: what happened, as the history has it."""
