"""What the LLM worker is told by its environment."""

from pydantic import Field, SecretStr

from shared.settings import WorkerSettings

SPOKEN_STYLE = (
    "You are a helpful voice assistant. Your answer will be read aloud, so speak in short, natural sentences, "
    "without markdown, lists, links or emoji. Answer in the language of the question."
)


class LlmSettings(WorkerSettings):
    """Settings of the LLM worker."""

    llm_engine: str = "auto"
    """`gemini`, `openai` (any compatible server), `offline`, an installed third-party engine, or `auto`: gemini when
    its key is set, openai when a base URL is set, else offline."""

    streaming: bool = True
    """Whether each sentence is spoken while the next is being written; else an answer is spoken when it is whole."""

    llm_system_prompt: str = SPOKEN_STYLE
    """How the model is told to answer, unless the request brings its own."""

    llm_history_tokens: int = Field(default=2000, ge=0, le=64_000)
    """How much the model is told of a conversation's earlier turns, in tokens, counted approximately: four bytes each.
    What does not fit is left out, the oldest first; 0 tells nothing."""

    llm_max_tokens: int = Field(default=1024, ge=1)
    """The longest answer, in tokens."""

    llm_temperature: float | None = Field(default=None, ge=0, le=2)
    """How freely the model words its answer; empty leaves it to the model. Gemini ignores it from 3.6 on and has
    announced that later models will refuse it."""

    llm_first_token_timeout_s: float = Field(default=30, gt=0)
    """How long the model may take until its answer begins."""

    llm_idle_timeout_s: float = Field(default=20, gt=0)
    """How long the answer may pause once it has begun."""

    llm_timeout_s: float = Field(default=300, gt=0)
    """How long a whole answer may take."""

    llm_concurrency: int = Field(default=8, ge=1)
    """How many answers one worker waits for at once."""

    gemini_api_key: SecretStr = SecretStr("")
    """The key for Google's Gemini API."""

    gemini_model: str = "gemini-3.6-flash"
    """Which Gemini model answers."""

    gemini_base_url: str = ""
    """Another address for the Gemini API, such as a proxy; empty is Google's own."""

    openai_base_url: str = ""
    """An OpenAI-compatible server, such as `http://ollama:11434/v1`."""

    openai_api_key: SecretStr = SecretStr("")
    """Its key, where it wants one."""

    openai_model: str = "llama3.2"
    """Which of its models answers."""
