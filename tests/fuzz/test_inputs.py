"""Inputs from outside: settings, names of models, the first bytes of files, idempotency keys."""

import os
import sys
import time
from collections.abc import Iterator
from io import StringIO
from unittest import mock

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api.intake.multipart import TEXT_FIELDS
from api.intake.sniff import HEAD_BYTES, is_audio
from api.settings import ApiSettings
from fuzz.api_in_process import FORM_TYPE, ApiInProcess
from fuzz.mutations import seeds
from fuzz.test_multipart import BODY
from llm_worker.settings import LlmSettings
from shared.errors import StartupError
from shared.settings import SharedSettings, read_settings
from stt_worker.engines.faster_whisper import model_files
from stt_worker.engines.faster_whisper.model_files import model_directory, model_name
from stt_worker.settings import SttSettings
from tts_worker.settings import TtsSettings

FIELDS = [
    (kind, name) for kind in (ApiSettings, SttSettings, LlmSettings, TtsSettings) for name in sorted(kind.model_fields)
]
#: Values that an environment variable can hold.
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
VALUES |= (
    st.integers().map(str) | st.floats().map(str) | st.sampled_from(["true", "off", "1/second", "0/day", "http://"])
)


@given(st.sampled_from(FIELDS), VALUES)
def test_a_setting_is_read_or_refused_by_name(field: tuple[type[SharedSettings], str], value: str) -> None:
    """An invalid setting ends the process with one line that names the variable and holds no secret."""
    kind, name = field
    stderr = StringIO()
    with mock.patch.dict(os.environ, {name.upper(): value}), mock.patch.object(sys, "stderr", stderr):
        try:
            settings = read_settings(lambda: kind(_env_file=None))
        except SystemExit as error:
            assert (error.code, stderr.getvalue().startswith(f"{name.upper()}: ")) == (2, True)  # noqa: PT017
            assert len(stderr.getvalue().splitlines()) == 1
            secret = isinstance(kind.model_fields[name].default, SecretStr)
            assert not (secret and len(value.strip()) > 5 and value.strip() in stderr.getvalue())
            return
    assert stderr.getvalue() == ""
    assert getattr(settings, name) is not None or value == ""


@pytest.fixture(scope="module", autouse=True)
def no_hub() -> Iterator[None]:
    """Make every model download fail, so that no test reaches the network."""

    def download(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("no network here")

    with mock.patch.object(model_files, "download_model", download):
        yield


MODELS = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=40)
MODELS |= st.text("~./\\ab-", min_size=1, max_size=300) | st.integers(250, 5000).map(lambda length: "m" * length)


@given(MODELS)
def test_an_unusable_model_is_a_wrong_setting(tmp_path_factory: pytest.TempPathFactory, model: str) -> None:
    """An STT_MODEL that cannot be found is reported to the operator by the variable's name, whatever its value."""
    with pytest.raises(StartupError, match="STT_MODEL"):
        model_directory(model, tmp_path_factory.getbasetemp() / "models")


@given(MODELS)
def test_the_public_name_of_a_model_is_not_a_path(model: str) -> None:
    """The public name of a model that lies in a folder is the folder's name without its path."""
    name = model_name(model)
    assert name == model or "/" not in name


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_a_file_is_recognized_by_its_first_bytes_only(data: bytes, more: bytes) -> None:
    """Bytes behind the head do not change whether a file is audio, and a short head that is audio stays audio."""
    head = data[:HEAD_BYTES]
    if len(head) == HEAD_BYTES:
        assert is_audio(head) == is_audio(head + more)
    elif is_audio(head):
        assert is_audio(head + more)


@given(st.text(min_size=1, max_size=40), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"]))
def test_text_is_not_audio(text: str, encoding: str) -> None:
    """Text in any encoding is not taken for audio, unless it begins with a container's magic bytes."""
    data = text.encode(encoding, "replace")
    magic = data[:4] in (b"OggS", b"fLaC") or data[:3] == b"ID3" or data[4:8] == b"ftyp" or data[8:12] == b"WAVE"
    assert magic or (data[:1] == b"\xff" and encoding == "latin-1") or not is_audio(data[:HEAD_BYTES])


@pytest.mark.parametrize("kind", seeds())
@given(rest=st.binary(max_size=32))
def test_every_supported_format_is_audio(kind: str, rest: bytes) -> None:
    """A recording of each supported format is recognized whatever follows its head."""
    assert is_audio(seeds()[kind][:HEAD_BYTES] + rest)


@pytest.mark.parametrize("name", TEXT_FIELDS)
@given(st.text("aA0-_.+ \n", min_size=1, max_size=3), st.text("aA0-_.+! \n", max_size=2))
def test_a_text_field_is_validated_fast(name: str, unit: str, end: str) -> None:
    """A long and nearly valid text field is validated in under 0.2 s, without catastrophic backtracking."""
    started = time.process_time()
    TEXT_FIELDS[name].fullmatch(unit * (16_000 // len(unit)) + end)
    assert time.process_time() - started < 0.2


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiInProcess]:
    with ApiInProcess(tmp_path_factory.mktemp("inputs") / "volume") as api:
        yield api


@given(st.binary(max_size=400).map(lambda key: key.translate(None, b"\r\n\0").strip()))
def test_a_repeated_upload_is_one_job_whatever_its_key(api: ApiInProcess, key: bytes) -> None:
    """Two uploads with the same key are one job and another upload with it is refused; without a key they are two
    jobs."""
    first = api.post(BODY, FORM_TYPE, Idempotency_Key=key)[0]
    repeated = api.post(BODY, FORM_TYPE, Idempotency_Key=key)[0]
    if len(key) > 255:
        assert (first.status_code, first.json()["code"]) == (422, "invalid_request")
        return
    assert (first.status_code, repeated.status_code) == (202, 202)
    assert (first.json()["job_id"] == repeated.json()["job_id"]) == bool(key)
    other, stored = api.post(BODY.replace(b"amy", b"bob"), FORM_TYPE, Idempotency_Key=key)
    if key:
        assert (other.status_code, other.json()["code"], stored) == (422, "idempotency_key_reused", None)
    else:
        assert other.status_code == 202
