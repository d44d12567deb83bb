"""`cascade queues`: show the queues once, as tables."""

from cli.commands.options import ServerOptions, with_options


@with_options
def queues(server: ServerOptions) -> None:
    """Show each stage's waiting tasks, workers and throughput."""
    # Not at the top: `--help` needs neither httpx nor rich.
    from rich.console import Console

    from cli.client.sync_client import CascadeClient
    from cli.terminal.queue_table import stage_table, worker_table

    overview = CascadeClient(server.url, server.key).request("GET", "/queues")
    console = Console()
    console.print(stage_table(overview))
    console.print(worker_table(overview))
