"""`python -m mailapps` is `mailcore`: how a supervisor starts its processes, whatever is on the PATH."""

from mailapps.cli import main

if __name__ == "__main__":
    main()
