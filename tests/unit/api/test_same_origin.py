"""Web pages and names: what a page of somebody else cannot have its reader's browser do."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from api.settings import ApiSettings

Send = Callable[..., Awaitable[httpx.Response]]
JOB = "a" * 32


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://api.evil.example"},
        {"Origin": "http://api:81"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://api"},
    ],
)
async def test_a_page_of_another_site_changes_nothing(
    client: httpx.AsyncClient, headers: dict[str, str], wav: bytes, files: Callable[[], list[str]]
) -> None:
    """A form that posts itself to a service on its reader's own machine is refused."""
    for answer in (
        await client.post("/transcribe", files={"audio_file": wav}, headers=headers),
        await client.delete(f"/jobs/{JOB}", headers=headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert files() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://api"},
        {"Origin": "https://API"},  # TLS ends before us
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://name.of.a.proxy"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_our_own_page_and_programs_may(client: httpx.AsyncClient, headers: dict[str, str], wav: bytes) -> None:
    """What comes from this origin, or from no page at all, is served."""
    assert (await client.post("/transcribe", files={"audio_file": wav}, headers=headers)).status_code == 202


async def test_another_site_reads_nothing(client: httpx.AsyncClient) -> None:
    """CORS is off unless somebody turns it on: no answer lets another page read it."""
    answer = await client.get("/queues", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    assert (await client.options(f"/jobs/{JOB}", headers=preflight)).status_code == 405


class TestAllowedOrigin:
    """With a page elsewhere that may."""

    PAGE = "https://page.example"

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return ApiSettings(
            data_dir=settings.data_dir, cors_origins=f"{self.PAGE}, http://localhost:3000", api_keys="k" * 16
        )

    async def test_its_preflight_needs_no_key(self, client: httpx.AsyncClient) -> None:
        """A browser asks first, without credentials, and hears what it may send."""
        preflight = {
            "Origin": self.PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,idempotency-key,x-api-key,range,last-event-id",
        }
        answer = await client.options("/transcribe", headers=preflight)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == self.PAGE
        assert "access-control-allow-credentials" not in answer.headers

    async def test_it_sends_with_a_key_and_reads(self, client: httpx.AsyncClient, wav: bytes) -> None:
        """Its upload is accepted, and it may read where the job is."""
        headers = {"Origin": self.PAGE, "Sec-Fetch-Site": "cross-site", "X-API-Key": "k" * 16}
        answer = await client.post("/transcribe", files={"audio_file": wav}, headers=headers)
        assert answer.status_code == 202
        assert answer.headers["access-control-allow-origin"] == self.PAGE
        assert "Location" in answer.headers["access-control-expose-headers"]

    async def test_it_can_read_why_it_is_refused(self, client: httpx.AsyncClient) -> None:
        """A missing key is told to the page, not hidden from it by its browser."""
        answer = await client.get("/queues", headers={"Origin": self.PAGE})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, self.PAGE)

    async def test_nobody_else_may(self, client: httpx.AsyncClient, wav: bytes) -> None:
        """One origin that is allowed opens nothing to others."""
        headers = {"Origin": "https://page.example.evil.example", "X-API-Key": "k" * 16}
        answer = await client.post("/transcribe", files={"audio_file": wav}, headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


class TestKnownHosts:
    """With names that the service answers to."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"api_hosts": "voice.example, 127.0.0.1,::1"})

    @pytest.mark.parametrize("host", ["voice.example", "VOICE.example:8443", "127.0.0.1:8000", "[::1]:8000"])
    async def test_a_known_name_is_served(self, client: httpx.AsyncClient, host: str) -> None:
        """On whatever port, in whatever letters."""
        assert (await client.get("/queues", headers={"Host": host})).status_code == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:8000", "", "voice.example.evil.example", "[x", "::1"]
    )
    async def test_another_name_is_not(self, client: httpx.AsyncClient, host: str) -> None:
        """A page whose name has been pointed at this machine gets nothing to read."""
        answer = await client.get("/queues", headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")

    async def test_probes_come_by_address(self, client: httpx.AsyncClient) -> None:
        """Whoever watches the process need not know its name."""
        assert (await client.get("/healthz", headers={"Host": "10.0.0.7"})).status_code == 200


@pytest.mark.parametrize(
    "origins", ["example.org", "https://example.org/", "https://a.example;https://b.example/x", "ftp://x"]
)
def test_an_origin_that_no_browser_sends_is_refused_at_the_start(origins: str) -> None:
    """A path or a missing scheme would never match, and nobody would know why."""
    with pytest.raises(ValueError, match="without a path"):
        ApiSettings(cors_origins=origins)
