"""``python -m nakami`` is the ``nakami`` command."""

from .cli import main

if __name__ == "__main__":
    main()
