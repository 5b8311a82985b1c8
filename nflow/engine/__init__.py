"""Where the rules meet the bus: drivers of runs and dag runs, their leases, claims and logs."""
