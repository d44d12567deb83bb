"""Serve the API: `python -m api`."""

import structlog
import uvicorn

from api.app import create_app
from api.settings import ApiSettings
from shared.errors import StartupError
from shared.logs import configure_logs
from shared.settings import read_settings

#: Long polls are cut off after this when the process is told to stop.
_GRACE_S = 5


def main() -> None:
    settings = read_settings(ApiSettings)
    configure_logs(settings.log_level, "api")
    try:
        app = create_app(settings)
    except StartupError as error:
        structlog.get_logger().error(error.code, message=error.public_message)
        raise SystemExit(1) from None
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )


if __name__ == "__main__":
    main()
