"""`python -m nfanneal`."""

from nfanneal.cli import main

if __name__ == "__main__":
    main()
