"""What happened in all runs, for people: an SQL read model of the event log, which can be rebuilt from that."""
