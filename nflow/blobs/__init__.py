"""Large values: bytes of any size that travel beside the messages, stored for as long as their run keeps its data."""
