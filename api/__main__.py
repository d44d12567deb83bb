"""Serve the API: `python -m api`."""

from typing import Any

from shared.imports import collector_paused

with collector_paused():
    import uvicorn

    from api.app import create_app
    from api.middleware.connection_limits import allow_files
    from api.middleware.http_protocol import BoundedProtocol
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
    "timeout_graceful_shutdown": 5,  # long polls are cut off after this when the process is told to stop
}


def main() -> None:
    settings = read_settings(ApiSettings, "api")
    configure_logs(settings.log_level, "api")
    allow_files()
    try:
        app = create_app(settings)
    except StartupError as error:
        get_logger().error(error.code, message=error.public_message)
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
