"""Entry point of the ``isoglot`` command and of ``python -m isoglot``."""

from isoglot.cli.app import main

if __name__ == "__main__":
    main()
