"""`nflow doctor`: what is looked at on this machine and on its server, and what was found."""
