"""What every process of the agent needs to run unattended: tasks, supervision, watchdog, journal."""
