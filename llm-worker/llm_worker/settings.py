"""Settings of the LLM worker, read from the environment."""

from pydantic import Field, SecretStr

from shared.settings import WorkerSettings

DEFAULT_SYSTEM_PROMPT = (
    "You are a helpful voice assistant. Your answer will be read aloud, so speak in short, natural sentences, "
    "without markdown, lists, links or emoji. Answer in the language of the question."
)


class LlmSettings(WorkerSettings):
    """Settings of the LLM worker."""

    llm_engine: str = "auto"
    """Language model engine: `gemini`, `openai` (any compatible server), `offline`, an installed third-party engine, or
    `auto`. `auto` selects `gemini` if GEMINI_API_KEY is set, else `openai` if OPENAI_BASE_URL is set, else `offline`, a
    small built-in responder for demonstrations."""

    streaming: bool = True
    """Synthesize each sentence while the model writes the next one; `false` starts when the whole answer is written."""

    llm_system_prompt: str = DEFAULT_SYSTEM_PROMPT
    """System prompt for requests that send none."""

    llm_history_tokens: int = Field(default=2000, ge=0, le=64_000)
    """Budget in tokens, estimated as four bytes each, for a conversation's earlier turns in a prompt. The oldest turns
    are left out first; 0 sends no earlier turns."""

    llm_max_tokens: int = Field(default=1024, ge=1)
    """Maximum length of an answer in tokens. A model's thinking counts too."""

    llm_temperature: float | None = Field(default=None, ge=0, le=2)
    """Sampling temperature, 0 to 2; empty uses the model's own default. Gemini ignores it from 3.6 on and has announced
    that later models will refuse it."""

    llm_first_token_timeout_s: float = Field(default=30, gt=0)
    """Longest wait for an answer's first token, in seconds. The job is retried after it."""

    llm_idle_timeout_s: float = Field(default=20, gt=0)
    """Longest pause within an answer, in seconds. The job is retried after it."""

    llm_timeout_s: float = Field(default=300, gt=0)
    """Longest time for a whole answer, in seconds. The job is retried after it."""

    llm_concurrency: int = Field(default=8, ge=1)
    """Number of answers that one worker requests from the model at the same time."""

    gemini_api_key: SecretStr = SecretStr("")
    """API key for Google's Gemini API."""

    gemini_model: str = "gemini-3.6-flash"
    """Name of the Gemini model."""

    gemini_base_url: str = ""
    """Base URL of the Gemini API, for instance of a proxy; empty uses Google's own."""

    openai_base_url: str = ""
    """Base URL of an OpenAI-compatible server, such as `http://ollama:11434/v1`."""

    openai_api_key: SecretStr = SecretStr("")
    """API key for the OpenAI-compatible server; empty if the server needs none."""

    openai_model: str = "llama3.2"
    """Name of the model on the OpenAI-compatible server."""
