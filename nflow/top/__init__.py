"""The monitor, `nflow top`: what goes on, drawn in a terminal."""
