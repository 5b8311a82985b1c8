"""Which queues a run needs, and what a person is told while no worker serves them."""
