"""Requests of web pages: other sites' pages get no access unless they are allowed."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from api.settings import ApiSettings

Send = Callable[..., Awaitable[httpx.Response]]
JOB_ID = "a" * 32


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
async def test_another_sites_page_changes_nothing(
    client: httpx.AsyncClient, headers: dict[str, str], wav: bytes, files: Callable[[], list[str]]
) -> None:
    """An upload or a deletion sent by another site's page is 403, also to a service on the reader's own machine."""
    for response in (
        await client.post("/transcribe", files={"audio_file": wav}, headers=headers),
        await client.delete(f"/jobs/{JOB_ID}", headers=headers),
    ):
        assert (response.status_code, response.json()["code"]) == (403, "cross_site")
    assert files() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://api"},
        {"Origin": "https://API"},  # a proxy terminates TLS
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://name.of.a.proxy"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_our_own_page_and_programs_are_accepted(
    client: httpx.AsyncClient, headers: dict[str, str], wav: bytes
) -> None:
    """A request from this origin, or from no page at all, is accepted."""
    assert (await client.post("/transcribe", files={"audio_file": wav}, headers=headers)).status_code == 202


async def test_another_sites_page_reads_nothing(client: httpx.AsyncClient) -> None:
    """No response allows another site's page to read it unless CORS is turned on."""
    response = await client.get("/queues", headers={"Origin": "https://evil.example"})
    assert not [name for name in response.headers if name.startswith("access-control-")]
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    assert (await client.options(f"/jobs/{JOB_ID}", headers=preflight)).status_code == 405


class TestAllowedOrigin:
    """An API that allows one other origin."""

    PAGE = "https://page.example"

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return ApiSettings(
            data_dir=settings.data_dir, cors_origins=f"{self.PAGE}, http://localhost:3000", api_keys="k" * 16
        )

    async def test_a_preflight_needs_no_key(self, client: httpx.AsyncClient) -> None:
        """An allowed page's preflight, which browsers send without credentials, lists what the page may send."""
        preflight = {
            "Origin": self.PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,idempotency-key,x-api-key,range,last-event-id",
        }
        response = await client.options("/transcribe", headers=preflight)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == self.PAGE
        assert "access-control-allow-credentials" not in response.headers

    async def test_an_allowed_page_uploads_with_a_key(self, client: httpx.AsyncClient, wav: bytes) -> None:
        """An allowed page's upload with a key is accepted, and the page may read the Location header."""
        headers = {"Origin": self.PAGE, "Sec-Fetch-Site": "cross-site", "X-API-Key": "k" * 16}
        response = await client.post("/transcribe", files={"audio_file": wav}, headers=headers)
        assert response.status_code == 202
        assert response.headers["access-control-allow-origin"] == self.PAGE
        assert "Location" in response.headers["access-control-expose-headers"]

    async def test_an_allowed_page_can_read_a_refusal(self, client: httpx.AsyncClient) -> None:
        """An allowed page without a key gets a 401 that its browser lets it read."""
        response = await client.get("/queues", headers={"Origin": self.PAGE})
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (401, self.PAGE)

    async def test_another_origin_stays_refused(self, client: httpx.AsyncClient, wav: bytes) -> None:
        """An origin that only begins like the allowed one is refused."""
        headers = {"Origin": "https://page.example.evil.example", "X-API-Key": "k" * 16}
        response = await client.post("/transcribe", files={"audio_file": wav}, headers=headers)
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


class TestKnownHosts:
    """An API that accepts only certain host names."""

    @pytest.fixture
    def settings(self, settings: ApiSettings) -> ApiSettings:
        return settings.model_copy(update={"api_hosts": "voice.example, 127.0.0.1,::1"})

    @pytest.mark.parametrize("host", ["voice.example", "VOICE.example:8443", "127.0.0.1:8000", "[::1]:8000"])
    async def test_a_known_host_is_accepted(self, client: httpx.AsyncClient, host: str) -> None:
        """A known host name is accepted on any port and in any case."""
        assert (await client.get("/queues", headers={"Host": host})).status_code == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:8000", "", "voice.example.evil.example", "[x", "::1"]
    )
    async def test_an_unknown_host_is_refused(self, client: httpx.AsyncClient, host: str) -> None:
        """An unknown host name is 421, so that a page whose name points at this machine can read nothing."""
        response = await client.get("/queues", headers={"Host": host})
        assert (response.status_code, response.json()["code"]) == (421, "unknown_host")

    async def test_a_probe_is_accepted_under_any_host(self, client: httpx.AsyncClient) -> None:
        """A health probe is accepted under any host name, since monitors call by address."""
        assert (await client.get("/healthz", headers={"Host": "10.0.0.7"})).status_code == 200


@pytest.mark.parametrize(
    "origins", ["example.org", "https://example.org/", "https://a.example;https://b.example/x", "ftp://x"]
)
def test_an_impossible_origin_is_refused_at_startup(origins: str) -> None:
    """An allowed origin with a path or without a scheme, which no browser's header would match, is refused at
    startup."""
    with pytest.raises(ValueError, match="without a path"):
        ApiSettings(cors_origins=origins)
