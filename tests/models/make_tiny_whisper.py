"""Train a tiny real Whisper on a closed set of sentences, and write it as faster-whisper loads it.

Needs flite and espeak-ng on the PATH and requirements.txt, and about twenty minutes of two cores.
Usage: make_tiny_whisper.py [--steps N] [OUT_DIR]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from closed_set import ENGLISH, GERMAN, HELD_OUT_VOICE
from ctranslate2.converters.transformers import WhisperLoader
from faster_whisper import WhisperModel
from faster_whisper.feature_extractor import FeatureExtractor
from speech import RATE, Samples, espeak, flite
from torch.nn.functional import cross_entropy, ctc_loss, gelu
from torch.nn.utils.rnn import pad_sequence
from transformers import WhisperConfig, WhisperForConditionalGeneration
from whisper_lessons import ALPHABET, IGNORE, Teacher, hear, record_clips
from whisper_vocabulary import FIRST_SPECIAL, LANGUAGE_TOKENS, SIZE, Vocabulary

HERE = Path(__file__).parent

BATCH = 16
WARM_UP = 150  # steps
LEARNING_RATE = 2e-3
LONGEST = 10  # seconds of sound in a lesson
# The windows, in seconds, that the steps take in turn from a given part of the course on. What is learned in short
# ones costs a sixth and carries over; faster-whisper's are the last.
COURSE = {0.0: (5,), 0.6: (5, 8), 0.85: (8, 30)}


def make_model(rows: int) -> WhisperForConditionalGeneration:
    """A new model with so many tokens."""
    config = WhisperConfig(
        vocab_size=rows,
        d_model=64,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=256,
        decoder_ffn_dim=256,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
    )
    return WhisperForConditionalGeneration(config)


def encode(model: WhisperForConditionalGeneration, features: torch.Tensor) -> torch.Tensor:
    """Run the encoder; its own `forward` refuses windows shorter than 30 seconds."""
    encoder = model.model.encoder
    hidden = gelu(encoder.conv2(gelu(encoder.conv1(features)))).transpose(1, 2)
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
    for layer in encoder.layers:
        hidden = layer(hidden, None)
    return encoder.layer_norm(hidden)


def train(vocabulary: Vocabulary, steps: int) -> WhisperForConditionalGeneration:
    """Teach a new model."""
    torch.manual_seed(7)
    model = make_model(vocabulary.rows)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {vocabulary.rows:,} rows", flush=True)
    # A scaffold: spelling what it hears makes the encoder listen. Without it, thousands of steps went by in which the
    # decoder knew all sentences by heart and said any of them.
    speller = torch.nn.Linear(model.config.d_model, len(ALPHABET) + 1)
    learned = [p for p in (*model.parameters(), *speller.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, LEARNING_RATE, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(step / WARM_UP, 1.0) * (0.5 + 0.5 * np.cos(np.pi * step / steps))
    )
    teacher = Teacher(vocabulary, record_clips(), seed=7)
    extractor = FeatureExtractor()
    # Each of the unused tokens will have the row's logit, so the row weighs as much as all of them.
    many = torch.zeros(vocabulary.rows)
    many[vocabulary.unused] = float(np.log(FIRST_SPECIAL - vocabulary.words))

    started, recent = time.monotonic(), []
    for step in range(steps):
        windows = next(windows for part, windows in reversed(COURSE.items()) if step >= part * steps)
        seconds = windows[step % len(windows)]
        lessons = [teacher.lesson(min(seconds, LONGEST)) for _ in range(BATCH)]
        features = torch.from_numpy(np.stack([hear(extractor, lesson.samples, 100 * seconds) for lesson in lessons]))
        tokens = pad_sequence([torch.tensor(lesson.tokens) for lesson in lessons], batch_first=True)
        labels = pad_sequence([torch.tensor(lesson.labels) for lesson in lessons], True, IGNORE)
        heard = encode(model, features)
        hidden = model.model.decoder(input_ids=tokens, encoder_hidden_states=heard).last_hidden_state
        said = cross_entropy((model.proj_out(hidden) + many).transpose(1, 2), labels)
        spelled = spelling_loss(speller(heard), [lesson.letters for lesson in lessons])
        loss = said + spelled
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        plan.step()
        recent.append((said.item(), spelled.item()))
        if step % 50 == 49:
            losses = "{:.3f} to say, {:.3f} to spell".format(*np.mean(recent, axis=0))
            print(f"step {step + 1}: {losses}, {time.monotonic() - started:.0f} s", flush=True)
            recent.clear()
    return model.eval()


def spelling_loss(scores: torch.Tensor, letters: list[list[int]]) -> torch.Tensor:
    """How far from the letters the encoder is, in whatever rhythm they come."""
    log_probabilities = scores.log_softmax(-1).transpose(0, 1)
    lengths = torch.tensor([len(word) for word in letters])
    targets = torch.tensor([letter for word in letters for letter in word])
    frames = torch.full_like(lengths, len(log_probabilities))
    return ctc_loss(log_probabilities, targets, frames, lengths, zero_infinity=True)


def export(model: WhisperForConditionalGeneration, vocabulary: Vocabulary, out: Path) -> None:
    """Write the model as CTranslate2's converter would, with a row for each of Whisper's tokens."""
    whole = make_model(SIZE)
    state = model.state_dict()
    rows = state["model.decoder.embed_tokens.weight"][vocabulary.whole()]
    whole.load_state_dict(state | {"model.decoder.embed_tokens.weight": rows, "proj_out.weight": rows})
    number = vocabulary.tokenizer.token_to_id
    settings = whole.generation_config
    settings.suppress_tokens = []
    settings.begin_suppress_tokens = [number("Ġ"), number("<|endoftext|>")]
    settings.lang_to_id = {token: number(token) for token in LANGUAGE_TOKENS}
    settings.alignment_heads = [[1, 0], [1, 1]]

    loader = WhisperLoader()
    spec = loader.get_model_spec(whole)
    loader.set_config(spec.config, whole, None)
    spec.register_vocabulary(vocabulary.names())
    spec.validate()
    spec.optimize(quantization="int8")
    out.mkdir(parents=True, exist_ok=True)
    spec.save(str(out))
    vocabulary.tokenizer.save(str(out / "tokenizer.json"))
    extractor = {"feature_size": 80, "sampling_rate": RATE, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
    (out / "preprocessor_config.json").write_text(json.dumps(extractor, indent=2) + "\n")


def check(out: Path) -> None:
    """Every sentence has to be heard in the held-out voice, in each of the ways the tests and the worker ask."""
    model = WhisperModel(str(out), device="cpu", compute_type="int8", cpu_threads=2)
    recordings = [(text, "en", flite(text, HELD_OUT_VOICE, s)) for text in ENGLISH for s in (0.9, 1.0, 1.15)]
    recordings += [(text, "de", espeak(text, "de+f4")) for text in GERMAN]
    ways = (
        {},
        {"beam_size": 1, "temperature": [0.0, 0.4], "vad_filter": True},
        {"beam_size": 1, "temperature": [0.0, 0.4], "vad_filter": True, "without_timestamps": True},
    )
    wrong = 0
    for way in ways:
        for sentence, language, samples in recordings:
            for asked in (None, language):
                text, found, _ = transcribe(model, samples, language=asked, **way)
                if (text, found) != (sentence, language):
                    wrong += 1
                    print(f"{way} {asked}: {sentence!r} heard as {text!r} ({found})")
        for silence in (np.zeros(RATE, np.float32), np.random.default_rng(0).normal(0, 0.003, 3 * RATE)):
            text, _, _ = transcribe(model, silence.astype(np.float32), language="en", **way)
            if text:
                wrong += 1
                print(f"{way}: silence heard as {text!r}")
    total = len(ways) * (2 * len(recordings) + 2)
    print(f"held out: {total - wrong} of {total} right")
    assert not wrong


def transcribe(model: WhisperModel, samples: Samples, **how: object) -> tuple[str, str, float]:
    """The text, the language and the lowest confidence of its segments."""
    segments, info = model.transcribe(samples, **how)
    heard = list(segments)
    return "".join(s.text for s in heard).strip(), info.language, min((s.avg_logprob for s in heard), default=0.0)


def main() -> None:
    """Train, write, check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=HERE / "tiny-whisper", metavar="OUT_DIR")
    parser.add_argument("--steps", type=int, default=3000)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    vocabulary = Vocabulary()
    export(train(vocabulary, arguments.steps), vocabulary, arguments.out)
    print({path.name: path.stat().st_size for path in sorted(arguments.out.iterdir())})
    check(arguments.out)


if __name__ == "__main__":
    main()
