"""Jobs that cannot be handled: laid down with their reason, and what becomes of the work that they asked for."""
