"""`python -m chronos_ops` is `./chronos` in an environment that is made already."""

from chronos_ops.cli import main

if __name__ == "__main__":
    main()
