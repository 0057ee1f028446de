"""The commands, one module each: ``ENTRY = Command(run)``."""
