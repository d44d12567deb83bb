"""What the outside hands in: settings, names of models, the first bytes of files, keys of repeated uploads."""

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
#: What an environment can hold.
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
VALUES |= (
    st.integers().map(str) | st.floats().map(str) | st.sampled_from(["true", "off", "1/second", "0/day", "http://"])
)


@given(st.sampled_from(FIELDS), VALUES)
def test_a_setting_is_read_or_named(field: tuple[type[SharedSettings], str], value: str) -> None:
    """A wrong one ends the process with a line that names the variable; a secret is never in that line."""
    kind, name = field
    said = StringIO()
    with mock.patch.dict(os.environ, {name.upper(): value}), mock.patch.object(sys, "stderr", said):
        try:
            settings = read_settings(lambda: kind(_env_file=None))
        except SystemExit as end:
            assert (end.code, said.getvalue().startswith(f"{name.upper()}: ")) == (2, True)  # noqa: PT017
            assert len(said.getvalue().splitlines()) == 1
            secret = isinstance(kind.model_fields[name].default, SecretStr)
            assert not (secret and len(value.strip()) > 5 and value.strip() in said.getvalue())
            return
    assert said.getvalue() == ""
    assert getattr(settings, name) is not None or value == ""


@pytest.fixture(scope="module", autouse=True)
def no_hub() -> Iterator[None]:
    """Nobody is asked for a model."""

    def download(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("no network here")

    with mock.patch.object(model_files, "download_model", download):
        yield


MODELS = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=40)
MODELS |= st.text("~./\\ab-", min_size=1, max_size=300) | st.integers(250, 5000).map(lambda length: "m" * length)


@given(MODELS)
def test_a_model_is_found_or_named_as_a_wrong_setting(tmp_path_factory: pytest.TempPathFactory, model: str) -> None:
    """Whatever STT_MODEL says, it is a line for the operator and no stack."""
    with pytest.raises(StartupError, match="STT_MODEL"):
        model_directory(model, tmp_path_factory.getbasetemp() / "models")


@given(MODELS)
def test_a_models_public_name_is_no_path_of_this_machine(model: str) -> None:
    """Where it is a folder, only the folder's name is told."""
    name = model_name(model)
    assert name == model or "/" not in name


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_a_file_is_judged_by_its_first_bytes_only(data: bytes, more: bytes) -> None:
    """What comes behind them changes nothing, and whatever is too short for a verdict is never taken back."""
    head = data[:HEAD_BYTES]
    if len(head) == HEAD_BYTES:
        assert is_audio(head) == is_audio(head + more)
    elif is_audio(head):
        assert is_audio(head + more)


@given(st.text(min_size=1, max_size=40), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"]))
def test_a_text_is_no_audio(text: str, encoding: str) -> None:
    """In whatever encoding, unless it begins with the very letters of a container."""
    data = text.encode(encoding, "replace")
    magic = data[:4] in (b"OggS", b"fLaC") or data[:3] == b"ID3" or data[4:8] == b"ftyp" or data[8:12] == b"WAVE"
    assert magic or (data[:1] == b"\xff" and encoding == "latin-1") or not is_audio(data[:HEAD_BYTES])


@pytest.mark.parametrize("kind", seeds())
@given(rest=st.binary(max_size=32))
def test_every_accepted_kind_is_audio(kind: str, rest: bytes) -> None:
    """By the beginning alone."""
    assert is_audio(seeds()[kind][:HEAD_BYTES] + rest)


@pytest.mark.parametrize("name", TEXT_FIELDS)
@given(st.text("aA0-_.+ \n", min_size=1, max_size=3), st.text("aA0-_.+! \n", max_size=2))
def test_a_text_field_is_judged_in_no_time(name: str, unit: str, end: str) -> None:
    """However long and however nearly right: no rule is tried in a million ways."""
    started = time.process_time()
    TEXT_FIELDS[name].fullmatch(unit * (16_000 // len(unit)) + end)
    assert time.process_time() - started < 0.2


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiInProcess]:
    with ApiInProcess(tmp_path_factory.mktemp("doors") / "volume") as api:
        yield api


@given(st.binary(max_size=400).map(lambda key: key.translate(None, b"\r\n\0").strip()))
def test_a_repeated_upload_is_one_job_whatever_its_key(api: ApiInProcess, key: bytes) -> None:
    """The same key finds the same job, and another upload under it is refused; no key, no memory."""
    first, again = (api.post(BODY, FORM_TYPE, Idempotency_Key=key)[0] for _ in range(2))
    if len(key) > 255:
        assert (first.status_code, first.json()["code"]) == (422, "invalid_request")
        return
    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.json()["job_id"] == again.json()["job_id"]) == bool(key)
    other, stored = api.post(BODY.replace(b"amy", b"bob"), FORM_TYPE, Idempotency_Key=key)
    if key:
        assert (other.status_code, other.json()["code"], stored) == (422, "idempotency_key_reused", None)
    else:
        assert other.status_code == 202
