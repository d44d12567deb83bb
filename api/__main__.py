"""Serve the API: `python -m api`."""

from typing import Any

from shared.imports import collector_paused

with collector_paused():
    import uvicorn

    from api.app import create_app
    from api.http_protocol.bounded_protocol import BoundedProtocol
    from api.http_protocol.connection_limits import raise_file_limit
    from api.http_protocol.uvicorn_guard import check_uvicorn
    from api.settings import ApiSettings
    from shared.errors import StartupError
    from shared.logs import configure_logs, get_logger
    from shared.settings import CANNOT_START, read_settings

SERVER_OPTIONS: dict[str, Any] = {
    "loop": "uvloop",
    "http": BoundedProtocol,
    "ws": "none",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "timeout_graceful_shutdown": 5,  # seconds, after which a shutdown cuts off long polls
}


def main() -> None:
    """Serve until SIGTERM or SIGINT. Exits with 2 and one line in the log if it cannot start."""
    settings = read_settings(ApiSettings, "api")
    configure_logs(settings.log_level, "api")
    raise_file_limit()
    try:
        check_uvicorn()
        app = create_app(settings)
    except StartupError as error:
        get_logger().error("startup_failed", code=error.code, message=error.public_message)
        raise SystemExit(CANNOT_START) from None
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        forwarded_allow_ips=settings.trusted_proxies,
        **SERVER_OPTIONS,
    )


if __name__ == "__main__":
    main()
