"""Entry point of ``bitsnode`` and of ``python -m bitsnode``."""


def main() -> None:
    """Run the command line."""
    from bitsnode.cli.app import cli

    cli.main(prog_name="bitsnode")


if __name__ == "__main__":
    main()
