"""The corpus of bad input for language models and transformers: what is wrong, what is typed, what the answer names."""

from __future__ import annotations

import json

from tests.cli.corpus.cases import Case, each, write

VERSE = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n" * 12
"""What the workshop's run book was trained on."""
ASKED = [{"prompt": f"Thou {letter}", "answer": letter} for letter in "aelmnorst" for _ in range(3)]
CHOSEN = [{"prompt": f"Thou {letter}", "chosen": letter, "rejected": "no"} for letter in "aelmnorst"]


def lines(*rows: object) -> str:
    """Return rows as JSON lines; a text is a line itself."""
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


GOOD, CHOICES = write("good.jsonl", lines(*ASKED)), write("choices.jsonl", lines(*CHOSEN))
REWARD = write("reward.py", "def score(prompt, answer, expected):\n    return 1.0\n")
START = "--from runs/book --name new"

TEXTS = [
    Case("an empty text", "train empty.txt", ("empty.txt", "empty"), write("empty.txt", "")),
    Case("a text of nothing but blanks", "train blank.txt", ("blank.txt", "empty"), write("blank.txt", " \n\n")),
    Case(
        "a binary file named .txt",
        "train bad.txt",
        ("bad.txt", "not UTF-8", "line 1"),
        write("bad.txt", b"\x7fELF\x02\x80\xff" * 99),
    ),
    Case("a text with NUL bytes", "train bad.txt", ("bad.txt", "NUL"), write("bad.txt", b"abc\0def\n" * 99)),
    Case(
        "a text shorter than the context",
        "train short.txt --data.context 64",
        ("short.txt", "too few for a context of 64", "--data.context"),
        write("short.txt", "To be, or not to be.\n"),
    ),
    Case("a text of one character", "train a.txt", ("a.txt", "too few", "longer text"), write("a.txt", "a")),
    Case(
        "no context",
        "train book.txt --name new --data.context 0",
        ("data.options.context", "found 0", "--data.context 64"),
    ),
    Case("a vocabulary that is none", "train book.txt --data.vocabulary words", ("'words'", "character")),
    Case(
        "a vocabulary of too few pieces",
        "train book.txt --name new --data.vocabulary bpe --data.pieces 10",
        ("pieces", "found 10", "--data.pieces 4096"),
    ),
    Case(
        "a vocabulary larger than any",
        "train book.txt --name new --data.vocabulary bpe --data.pieces 100000000",
        ("pieces", "found 100000000", "1,000,000"),
    ),
    Case(
        "a net for pictures on a text",
        "train book.txt --net lenet --name new --data.context 16",
        ("lenet", "text"),
    ),
    Case("a net for text on pictures", "train digits --net gpt --name new", ("gpt", "text")),
    Case(
        "heads that do not fit",
        "train book.txt --name new --net.width 30 --net.heads 4",
        ("30", "--net.width 28"),
    ),
    Case(
        "heads of an odd width that turn",
        "train book.txt --name new --net.width 12 --net.heads 4",
        ("heads of 3 features", "--net.width"),
    ),
    Case("no tokens in a row", "train book.txt --name new --net.ngrams 0", ("ngrams 0", "1 or more", "--net.ngrams 3")),
    Case("tables without rows", "train book.txt --name new --net.ngrams 2 --net.rows 0", ("rows 0", "--net.rows 8191")),
    Case(
        "a cap that is no number", "train book.txt --name new --net.soft-cap nan", ("cap of nan", "--net.soft-cap 15")
    ),
    Case("a cap without end", "train book.txt --name new --net.soft-cap inf", ("cap of inf", "--net.soft-cap 15")),
    Case("a form of the layer that is none", "train book.txt --name new --net.norm middle", ("'middle'", "pre")),
    Case(
        "a character never seen in training, to go on with",
        f"train new.txt {START}",
        ("new.txt", "'é'", "not trained on", "--data.vocabulary byte"),
        write("new.txt", VERSE + "été\n"),
    ),
    Case(
        "a text too short for the net to begin with",
        f"train short.txt {START}",
        ("short.txt", "too few", "longer text"),
        write("short.txt", "Thou art\n"),
    ),
    Case(
        "a text too short for the context that is asked for",
        f"train short.txt {START} --data.context 9 --data.validation 0",
        ("short.txt", "9 tokens", "too few for a context of 9", "--data.context 8"),
        write("short.txt", "Thou art\n"),
    ),
    Case(
        "a text too short to judge a net by",
        "evaluate runs/book --data short.txt",
        ("short.txt", "9 tokens", "too few for a context of 16", "name a longer text"),
        write("short.txt", "Thou art\n"),
    ),
    Case(
        "another vocabulary than that of the net to begin with",
        f"train book.txt {START} --data.vocabulary byte",
        ("data.options.vocabulary", "found byte", "character vocabulary of runs/book", "leave --data.vocabulary out"),
    ),
    Case(
        "pieces for a net of characters to begin with",
        f"train book.txt {START} --data.pieces 500",
        ("data.options.pieces", "found 500", "character vocabulary of runs/book", "leave --data.pieces out"),
    ),
    Case("no context to go on with", f"train book.txt {START} --data.context 0", ("data.options.context", "found 0")),
    Case("pictures for a language model to go on with", f"train pets {START}", ("pets", "text")),
    Case("a text for a net of pictures to go on with", "train book.txt --from runs/pets --name new", ("text",)),
    Case("other data of unknown characters", "evaluate runs/book --data new.txt", ("'é'",), write("new.txt", "é" * 99)),
    Case(
        "an empty text to predict with", "predict runs/book empty.txt", ("empty.txt", "empty"), write("empty.txt", "")
    ),
    Case("a picture for a language model", "predict runs/book one.png", ("one.png", "not UTF-8")),
    Case("a text to explain that is none", "explain runs/book one.png", ("one.png",)),
]

PROMPTS = [
    Case(
        "JSON lines cut short",
        "train bad.jsonl",
        ("bad.jsonl, line 1", "not JSON"),
        write("bad.jsonl", '{"prompt": "a\n'),
    ),
    Case(
        "a bad line among good ones",
        "train bad.jsonl",
        ("bad.jsonl, line 2", "not JSON", "--skip-bad"),
        write("bad.jsonl", lines(ASKED[0], "{", ASKED[1])),
    ),
    Case(
        "JSON lines of other names",
        "train bad.jsonl",
        ("bad.jsonl, line 1", "'question'", '"prompt"'),
        write("bad.jsonl", lines({"question": "a", "reply": "b"})),
    ),
    Case(
        "a prompt without its answer",
        "train bad.jsonl",
        ("bad.jsonl, line 2", "no answer"),
        write("bad.jsonl", lines(ASKED[0], {"prompt": "a"})),
    ),
    Case(
        "an answer that is a number",
        "train bad.jsonl",
        ("bad.jsonl, line 1", "'3' under answer"),
        write("bad.jsonl", lines({"prompt": "a", "answer": 3})),
    ),
    Case(
        "choices without the other answer",
        f"train bad.jsonl {START}",
        ("bad.jsonl, line 1", "no rejected"),
        write("bad.jsonl", lines({"prompt": "a", "chosen": "b"})),
    ),
    Case(
        "choices between the same",
        f"train bad.jsonl {START}",
        ("bad.jsonl, line 1", "as chosen and as rejected"),
        write("bad.jsonl", lines({"prompt": "a", "chosen": "b", "rejected": "b"})),
    ),
    Case(
        "a file of one prompt",
        "train one.jsonl",
        ("one.jsonl", "has 1 sample, too few", "--data.validation 0"),
        write("one.jsonl", lines(ASKED[0])),
    ),
    Case("an empty file of prompts", "train bad.jsonl", ("bad.jsonl", "empty"), write("bad.jsonl", "")),
    Case(
        "half a character in a prompt",
        "train bad.jsonl",
        ("bad.jsonl, line 1", "half of a character", "under prompt"),
        write("bad.jsonl", '{"prompt": "a\\ud800", "answer": "b"}\n'),
    ),
    Case(
        "prompts to judge a net of running text by",
        "evaluate runs/book --data good.jsonl",
        ("good.jsonl: holds prompts with answers", "trained on running text", "name a text file"),
        GOOD,
    ),
    Case(
        "prompts for the task of running text",
        "train good.jsonl --task language",
        ("prompts with answers", "--task answer"),
        GOOD,
    ),
    Case("choices, and no net to begin with", "train choices.jsonl", ("preference", "--from RUN"), CHOICES),
    Case("rewards, and no net to begin with", "train good.jsonl --task reward", ("reward", "--from RUN"), GOOD),
    Case(
        "an answer longer than the context",
        f"train long.jsonl {START}",
        ("long.jsonl", "(line 2)", "context of 16", "--data.context"),
        write("long.jsonl", lines(ASKED[0], {"prompt": "Thou", "answer": "a" * 40}, *ASKED)),
    ),
    Case(
        "an answer of characters that the net does not know",
        f"train new.jsonl {START}",
        ("new.jsonl, line 2", "'Z'", "--data.vocabulary byte"),
        write("new.jsonl", lines(ASKED[0], {"prompt": "Thou", "answer": "Z"}, *ASKED)),
    ),
    Case(
        "no weight of the beginning",
        f"train choices.jsonl {START} --task.beta 0",
        ("beta of 0", "--task.beta 0.1"),
        CHOICES,
    ),
    Case(
        "a weight of the beginning that is no number",
        f"train choices.jsonl {START} --task.beta nan",
        ("beta of nan", "--task.beta 0.1"),
        CHOICES,
    ),
    Case(
        "one answer to compare with itself",
        f"train good.jsonl {START} --task reward --task.answers 1",
        ("found 1 answer,", "--task.answers 16"),
        GOOD,
    ),
    Case(
        "a reward that is not there",
        f"train good.jsonl {START} --task reward --task.reward none.py:score",
        ("'none.py:score'", "my_reward.py:score"),
        GOOD,
    ),
    Case(
        "a reward without its function",
        f"train good.jsonl {START} --task reward --task.reward reward.py:scor",
        ("reward.py", "no function scor"),
        each(GOOD, REWARD),
    ),
    Case(
        "an exercise of too many digits",
        "train addition --name new --data.digits 99",
        ("digits", "found 99", "1 to 18"),
    ),
]

WRITING = [
    Case("nothing to write with", "generate", ("run folder",)),
    Case("a net of pictures to write with", "generate runs/pets", ("runs/pets", "language model", "hyperplane train")),
    Case("a run that is not there to write with", "generate runs/boo", ("runs/boo", "did you mean 'book'?")),
    Case("a prompt of a character never seen", "generate runs/book --prompt Thoü", ("'Thoü'", "'ü'", "character 4")),
    Case("a prompt without its text", "generate runs/book --prompt", ("--prompt", "leave it out")),
    Case("a draft that is not there", "generate runs/book --draft runs/boo", ("did you mean 'book'?",)),
    Case("a draft that is no language model", "generate runs/book --draft runs/pets", ("runs/pets", "language model")),
    Case("weights of too few bits", "generate runs/book --weights int4", ("--weights", "'int4'", "int8")),
    *(
        Case(f"{option} {value}", f"generate runs/book --{option} {value}", (f"--{option}: found {value}", "expected"))
        for option, values in {
            "tokens": ("0", "-1"),
            "temperature": ("-1.0", "nan", "inf"),
            "top-k": ("0", "-3"),
            "top-p": ("0.0", "2.0", "nan"),
        }.items()
        for value in values
    ),
]

VISION = [
    Case("a patch larger than the image", "train digits --name new --net vit_b_16", ("vit", "8 x 8", "16")),
    Case("no patch", "train digits --name new --net vit --net.patch 0", ("patch 0", "type")),
    Case("heads that do not divide", "train digits --name new --net vit --net.heads 5", ("heads 5", "--net.heads 3")),
    Case(
        "no labels to learn a table from",
        "train animals.csv --target animal --task selfsup-mae --name new",
        ("selfsup-mae", "images"),
    ),
    Case(
        "no images to learn from",
        "train book.txt --task selfsup-dino --name new --data.context 16",
        ("selfsup-dino", "images"),
    ),
    Case(
        "everything hidden",
        "train digits --task selfsup-mae --name new --task.hidden 1",
        ("hidden", "1", "--task.hidden"),
    ),
]
