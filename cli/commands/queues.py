"""`cascade queues`: how the queues stand, as a table."""

from cli.settings import Key, Url


def show(url: Url = None, key: Key = None) -> None:
    """Show each stage's waiting tasks, workers and throughput."""
    # Not at the top: `--help` needs neither httpx nor rich.
    from rich.console import Console

    from cli.client.sync_client import CascadeClient
    from cli.terminal.queue_table import stages, workers

    overview = CascadeClient(url, key).ask("GET", "/queues")
    console = Console()
    console.print(stages(overview))
    console.print(workers(overview))
