"""The monitor's screens: everything at a glance, and one run."""
