"""Variables that only the compose files read. Their defaults are checked against the files by a test."""

from typing import NamedTuple


class DockerVariable(NamedTuple):
    """The default and the documentation of one variable."""

    default: str
    text: str


DOCKER_VARIABLES = {
    "API_BIND": DockerVariable(
        "127.0.0.1", "Address of the host that the API is published on; `0.0.0.0` publishes it on every one."
    ),
    "CASCADE_UID": DockerVariable(
        "1000", "User id of the containers' processes, and so the owner of the files in `shared_data/`: see `id -u`."
    ),
    "CASCADE_GID": DockerVariable("1000", "Group id of the containers' processes: see `id -g`."),
    "API_MEMORY": DockerVariable("512m", "Memory limit of the API's container."),
    "STT_MEMORY": DockerVariable(
        "3g",
        "Memory limit of an STT worker's container. Whisper's medium and large models need `6g`, which is the default "
        "of `docker-compose.gpu.yml`.",
    ),
    "LLM_MEMORY": DockerVariable("512m", "Memory limit of an LLM worker's container."),
    "TTS_MEMORY": DockerVariable("1g", "Memory limit of a TTS worker's container."),
    "REDIS_MEMORY": DockerVariable(
        "1g", "Memory limit of Redis's container. Redis keeps its data in half of it and needs the rest for snapshots."
    ),
    "OLLAMA_MEMORY": DockerVariable("8g", "Memory limit of Ollama's container."),
    "BASE_IMAGE": DockerVariable("python:3.11-slim", "Base image of the four services."),
    "REDIS_IMAGE": DockerVariable("redis:7-alpine", "Image of Redis."),
    "OLLAMA_IMAGE": DockerVariable("ollama/ollama:latest", "Image of Ollama."),
}
