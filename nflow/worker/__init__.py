"""Takes jobs from queues: drives runs itself, and runs tasks in slots, the child processes where user code lives."""
