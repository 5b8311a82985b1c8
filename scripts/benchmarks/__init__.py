"""What `scripts/bench` measures, and against what."""
