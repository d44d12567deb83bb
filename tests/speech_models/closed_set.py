"""The sentences that the tiny Whisper recognizes, and the voice that was held out of its training."""

ENGLISH = (
    "How much is seven plus five?",
    "What is seven plus five?",
    "What time is it?",
    "What day is it today?",
    "What is your name?",
    "What is the capital of France?",
    "What is the weather like today?",
    "Turn on the lights in the kitchen.",
    "Turn off the lights in the bedroom.",
    "Set a timer for ten minutes.",
    "Tell me a joke.",
    "Play some music.",
    "Stop the music.",
    "Hello, how are you?",
)

# Enough for language detection to have a choice.
GERMAN = (
    "Wie spät ist es?",
    "Guten Morgen, wie geht es dir?",
    "Bitte schalte das Licht ein.",
)

SENTENCES = {"en": ENGLISH, "de": GERMAN}

# flite's only female voice: to recognize it, the model has to know the words and not the recordings.
HELD_OUT_VOICE = "slt"

QUESTION = ENGLISH[0]

# Recorded for the tests, in the held-out voice.
SAMPLED = (QUESTION, "What is the capital of France?", "Set a timer for ten minutes.", "Tell me a joke.")
