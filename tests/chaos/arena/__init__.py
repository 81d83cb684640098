"""What a campaign starts and puts under stress: Redis, workers, a gateway, a provider, and the faults' timetable."""
