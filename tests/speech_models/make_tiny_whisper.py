"""Train a tiny real Whisper on a closed set of sentences, and write it as faster-whisper loads it.

Needs flite and espeak-ng on the PATH and requirements.txt, and about fifteen minutes of two quiet cores.
Usage: make_tiny_whisper.py [OUT_DIR] [--lessons N] [--short-steps N] [--long-steps N]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from closed_set import ENGLISH, GERMAN, HELD_OUT_VOICE, SAMPLED
from ctranslate2.converters.transformers import WhisperLoader
from faster_whisper import WhisperModel
from speech import RATE, espeak, flite
from torch.nn.functional import cross_entropy, gelu
from torch.nn.utils.rnn import pad_sequence
from transformers import WhisperConfig, WhisperForConditionalGeneration
from whisper_lessons import Lesson, draw_lessons, record_clips
from whisper_vocabulary import LANGUAGE_TOKENS, Vocabulary

HERE = Path(__file__).parent
SENTENCES = [*ENGLISH, *GERMAN]

WIDTH = 64
LEARNING_RATE = 2e-3
WARM_UP = 60  # steps
SHORT = (600, 32)  # frames of the window and lessons of a step: most is learned cheaply, in six seconds
LONG = (3000, 12)  # and then once more in Whisper's thirty
IGNORE = -100  # the label that PyTorch's loss leaves out


def make_model(rows: int) -> WhisperForConditionalGeneration:
    """A new model with so many tokens."""
    config = WhisperConfig(
        vocab_size=rows,
        d_model=WIDTH,
        encoder_layers=2,
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


def train(vocabulary: Vocabulary, lessons: list[Lesson], short: int, long: int) -> WhisperForConditionalGeneration:
    """Teach a new model for so many steps of each kind."""
    model = make_model(vocabulary.rows)
    # A scaffold: telling the sentences apart makes the encoder listen. Without it, thousands of steps went by in which
    # the decoder knew all sentences by heart and said any of them.
    teller = torch.nn.Linear(WIDTH, len(SENTENCES))
    learned = [p for p in (*model.parameters(), *teller.parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, LEARNING_RATE, weight_decay=0.01)
    steps = short + long
    plan = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(step / WARM_UP, 1.0) * (0.5 + 0.5 * np.cos(np.pi * step / steps))
    )
    chance, started = np.random.default_rng(7), time.monotonic()
    for step in range(steps):
        frames, size = SHORT if step < short else LONG
        picked = [lessons[number] for number in chance.integers(len(lessons), size=size)]
        features, spoken = _windows(picked, frames, chance)
        dialogues = [_dialogue(vocabulary, lesson) for lesson in picked]
        tokens = pad_sequence([read for read, _ in dialogues], batch_first=True)
        labels = pad_sequence([say for _, say in dialogues], True, IGNORE)
        heard = encode(model, features)
        hidden = model.model.decoder(input_ids=tokens, encoder_hidden_states=heard).last_hidden_state
        said = cross_entropy(model.proj_out(hidden).transpose(1, 2), labels)
        pooled = (heard * spoken[..., None]).sum(1) / spoken.sum(1, keepdim=True)
        told = cross_entropy(teller(pooled), torch.tensor([SENTENCES.index(lesson.sentence) for lesson in picked]))
        optimizer.zero_grad()
        (said + told).backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        plan.step()
        if step % 25 == 24:
            print(
                f"step {step + 1}: {said:.3f} to say, {told:.3f} to tell, {time.monotonic() - started:.0f} s",
                flush=True,
            )
    return model.eval()


def _windows(lessons: list[Lesson], frames: int, chance: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """The lessons in windows of so many frames, and where, in encoder frames, each has sound."""
    features = torch.zeros(len(lessons), 80, frames)  # faster-whisper pads features with zeros too
    spoken = torch.zeros(len(lessons), frames // 2)
    for row, lesson in enumerate(lessons):
        length = min(lesson.features.shape[1], frames)
        features[row, :, :length] = torch.from_numpy(lesson.features[:, :length])
        spoken[row, : length // 2] = 1
        if chance.random() < 0.5:  # a band of pitches goes missing
            low = chance.integers(70)
            features[row, low : low + chance.integers(1, 10), :length] = float(lesson.features.mean())
    return features, spoken


def _dialogue(vocabulary: Vocabulary, lesson: Lesson) -> tuple[torch.Tensor, torch.Tensor]:
    """What the decoder reads, and what it should say next, token by token."""
    language = vocabulary.special(lesson.language)
    start = [vocabulary.special("startoftranscript"), language]
    start += [vocabulary.special("transcribe"), vocabulary.special("notimestamps")]
    answer = [*vocabulary.say(lesson.sentence), vocabulary.special("endoftext")]
    return torch.tensor([*start, *answer][:-1]), torch.tensor([language, IGNORE, IGNORE, *answer])


def export(model: WhisperForConditionalGeneration, vocabulary: Vocabulary, out: Path) -> None:
    """Write the model as CTranslate2's converter would."""
    number = vocabulary.tokenizer.token_to_id
    settings = model.generation_config
    settings.suppress_tokens = []
    settings.begin_suppress_tokens = [number("Ġ"), number("<|endoftext|>")]
    settings.lang_to_id = {token: number(token) for token in LANGUAGE_TOKENS}
    settings.alignment_heads = [[1, 0], [1, 1]]

    loader = WhisperLoader()
    spec = loader.get_model_spec(model)
    loader.set_config(spec.config, model, None)
    spec.register_vocabulary(vocabulary.names())
    spec.validate()
    spec.optimize(quantization="int8")
    out.mkdir(parents=True, exist_ok=True)
    spec.save(str(out))
    vocabulary.tokenizer.save(str(out / "tokenizer.json"))
    extractor = {"feature_size": 80, "sampling_rate": RATE, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
    (out / "preprocessor_config.json").write_text(json.dumps(extractor, indent=2) + "\n")


def check(out: Path) -> None:
    """The sentences that the tests use have to be heard in the held-out voice, with the language named and detected.

    Of the others most are; three of the fourteen are not by the model that is checked in.
    """
    model = WhisperModel(str(out), device="cpu", compute_type="int8", cpu_threads=2)
    recordings = [(text, "en", flite(text, HELD_OUT_VOICE)) for text in ENGLISH]
    recordings += [(text, "de", espeak(text, "de+f4")) for text in GERMAN]
    asked = [(recording, language) for recording in recordings for language in (None, recording[1])]
    wrong = []
    for (sentence, spoken, samples), language in asked:
        how = {"beam_size": 1, "temperature": [0.0], "without_timestamps": True, "vad_filter": True}
        segments, info = model.transcribe(samples, language=language, **how)
        text = "".join(segment.text for segment in segments).strip()
        if (text, info.language) != (sentence, spoken):
            wrong.append(sentence)
            print(f"{sentence!r} heard as {text!r} ({info.language}, asked for {language})")
    print(f"held out: {len(asked) - len(wrong)} of {len(asked)} right")
    assert not set(wrong) & {*SAMPLED, *GERMAN}


def main() -> None:
    """Record, train, write, check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=HERE / "tiny-whisper", metavar="OUT_DIR")
    parser.add_argument("--lessons", type=int, default=8000)
    parser.add_argument("--short-steps", type=int, default=1400)
    parser.add_argument("--long-steps", type=int, default=240)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(7)
    vocabulary = Vocabulary()
    lessons = draw_lessons(record_clips(), arguments.lessons, np.random.default_rng(7))
    model = train(vocabulary, lessons, arguments.short_steps, arguments.long_steps)
    export(model, vocabulary, arguments.out)
    check(arguments.out)


if __name__ == "__main__":
    main()
