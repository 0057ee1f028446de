"""A monitor of recurrent trainings: what it reads, when it warns, and the hosts that drive it."""
