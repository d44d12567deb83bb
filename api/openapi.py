"""Print the API's OpenAPI document: `python -m api.openapi > docs/openapi.json`."""

import json
import sys
import tempfile
from pathlib import Path

from api.app import create_app
from api.settings import ApiSettings


def document() -> str:
    """The document, as it is checked in."""
    with tempfile.TemporaryDirectory() as volume:
        # Built without reading the environment: the settings of this machine must not be in it.
        app = create_app(ApiSettings.model_construct(data_dir=Path(volume)))
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
