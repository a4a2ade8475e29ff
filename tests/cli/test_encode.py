"""``isoglot encode``: a corpus to embeddings, continued after a kill, another one refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from sentence_transformers import SentenceTransformer

from isoglot.artifacts import is_complete, read_json
from isoglot.cli.app import run
from isoglot.cli.encode import encode
from isoglot.data.corpus import open_passages
from isoglot.encoding.shards import open_shards

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    {"doc_id": f"{lang}:{i}", "lang": lang, "text": f"{lang} text {i} " + "word " * i}
    for i in range(7)
    for lang in ("sw", "bn")
]


@pytest.fixture
def call(capsys):
    """Run the command alone; return exit code, stdout and stderr."""
    app = typer.Typer()
    app.command()(encode)

    def run_line(*arguments):
        code = run([str(argument) for argument in arguments], app)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_line


@pytest.fixture
def refused(call):
    def run_line(*arguments):
        code, out, err = call(*arguments)
        assert (code, out) == (2, "")
        assert err.splitlines()[-1].startswith("isoglot: ")
        return err

    return run_line


def write(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def corpus(tmp_path):
    return write(tmp_path / "corpus.jsonl")


@pytest.fixture
def line(corpus, checkpoints):
    """The command line but its output."""
    return [corpus, "-m", checkpoints["static"], "--shard-size", 3]


def contents(folder):
    """All files but those that say when."""
    times = {"COMPLETE", "provenance.json"}
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in times)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_corpus_becomes_embeddings_beside_its_passages(call, line, checkpoints, tmp_path):
    output = tmp_path / "out"
    code, out, err = call(*line, "-o", output)
    assert code == 0
    assert out == (
        "14 passages in 2 languages; 32 dimensions, float32, computed in float32\n"
        f"embeddings: {output}\n"
    )
    assert "14 passages in 2 languages: " in err
    assert is_complete(output)
    shards, stored = open_shards(output, verify=True), open_passages(output / "corpus")
    ids = [name for _, names in shards.ids("passages") for name in names]
    by_id = {passage.doc_id: passage.text for passage in stored}
    assert sorted(ids) == sorted(by_id)
    model = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    expected = model.encode_document([by_id[name] for name in ids])
    assert np.array_equal(np.concatenate(list(shards.vectors("passages"))), expected)
    assert shards.origin.model == str(checkpoints["static"])
    provenance = read_json(output / "provenance.json")
    assert list(provenance["data_sha256"]) == ["corpus.jsonl"]


def test_the_same_command_again_finds_nothing_to_do(call, line, tmp_path):
    output = tmp_path / "out"
    call(*line, "-o", output)
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}
    code, out, err = call(*line, "-o", output)
    assert code == 0
    assert f"{output}: is complete, made from the same corpus with the same encoder" in err
    assert out.startswith("14 passages in 2 languages, 14 of them before; 32 dimensions")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_languages_of_a_complete_folder_are_checked_when_that_is_asked(call, line, tmp_path):
    output = tmp_path / "out"
    call(*line, "-o", output)
    vectors = (output / "manifest.json").stat().st_mtime_ns
    for _ in range(2):
        code, _, err = call(*line, "-o", output, "--check-languages")
        assert code == 0 and is_complete(output)
        assert "stated languages checked: 14 passages" in err
    assert (output / "manifest.json").stat().st_mtime_ns == vectors


def test_a_killed_process_is_continued_to_the_same_bytes(call, line, tmp_path):
    # The process kills itself when it has written the fourth of six shards.
    code = f"""
import os, signal, typer
from isoglot.cli.app import run
from isoglot.cli.encode import encode
from isoglot.encoding import shards
written = []
real = shards.ShardWriter.enter
def enter(self, *given):
    real(self, *given)
    written.append(given)
    if len(written) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
shards.ShardWriter.enter = enter
app = typer.Typer()
app.command()(encode)
run({[str(part) for part in [*line, "-o", tmp_path / "cut"]]!r}, app)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert not is_complete(tmp_path / "cut")
    code, out, err = call(*line, "-o", tmp_path / "cut")
    assert code == 0
    assert "cut: 10 of 14 passages are encoded; going on from there" in err
    assert out.startswith("14 passages in 2 languages, 10 of them before;")
    assert call(*line, "-o", tmp_path / "whole")[0] == 0
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.parametrize("verify", [False, True])
def test_damage_to_a_complete_folder_is_mended(call, line, tmp_path, verify):
    output = tmp_path / "out"
    call(*line, "-o", output)
    whole = contents(output)
    path = output / "passages" / "sw-00001.npy"
    if verify:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        assert "is complete" in call(*line, "-o", output)[2]
    else:
        os.truncate(path, 100)
    code, _, err = call(*line, "-o", output, *(["--verify"] if verify else []))
    assert code == 0 and "sw-00001.npy" in err and "encoding this shard again" in err
    assert contents(output) == whole and is_complete(output)


def test_another_corpus_encoder_or_setting_is_refused_and_nothing_is_lost(
    call, refused, line, corpus, checkpoints, tmp_path
):
    output = tmp_path / "out"
    call(*line, "-o", output)
    whole = contents(output)
    message = refused(*line, "-o", output, "--dtype", "float16")
    assert "holds embeddings of dtype 'float32', not 'float16'; choose another folder" in message
    other = [corpus, "-m", checkpoints["e5"], "--backend", "torch", "--shard-size", 3]
    message = refused(*other, "-o", output)
    assert "holds embeddings of model" in message
    message = refused(*line, "-o", output, "--passage-text", "text")
    assert "or the same read with other options" in message
    write(corpus, ROWS[:-1])
    message = refused(*line, "-o", output)
    assert f"{output}: holds another corpus than {corpus}" in message
    assert contents(output) == whole and is_complete(output)


def test_folders_of_other_things_are_refused(refused, call, line, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "provenance.json").write_text("{}")
    assert "holds other results, which would be mixed up" in refused(*line, "-o", other)
    output = tmp_path / "out"
    call(*line, "-o", output)
    (output / "corpus" / "passages.json").unlink()
    assert "holds embeddings without the passages they are of" in refused(*line, "-o", output)


def test_options_reach_their_place(call, checkpoints, tmp_path):
    rows = [{"name": "a", "body": "Kwa nini?", "kind": "x"}, {"name": "b", "body": "Ndiyo."}]
    corpus = write(tmp_path / "corpus.jsonl", rows)
    output = tmp_path / "out"
    code, out, _ = call(
        corpus,
        *("-m", checkpoints["e5"], "-o", output, "--lang", "sw", "--no-detect"),
        *("--id-column", "name", "--text-column", "body", "--passage-prompt", "text: "),
        *("--backend", "torch", "--precision", "bfloat16", "--dtype", "float16"),
        *("--max-tokens", 9, "--device", "cpu", "--batch-size", 1),
    )
    assert code == 0
    assert out.startswith("2 passages in 1 languages; 32 dimensions, float16, computed in bfloat16")
    shards = open_shards(output)
    assert list(shards.ids("passages")) == [("sw", ["a", "b"])]
    assert shards.origin.passage_prompt == "text: "
    assert shards.origin.precision == "bfloat16"


def test_what_cannot_be_done_is_one_line(refused, line, checkpoints, tmp_path):
    output = tmp_path / "out"
    empty = write(tmp_path / "empty.jsonl", [])
    for given, message in (
        ([*line, "--backend", "jax"], "backend"),
        ([*line, "--precision", "int8"], "a static encoder computes in float32, not int8"),
        ([*line, "--engine", "spark"], "engine 'spark' is unknown; use local or ray"),
        ([*line, "--address", "auto"], "an address is of a Ray cluster; add --engine ray"),
        ([tmp_path / "none.jsonl", "-m", checkpoints["static"]], "none.jsonl"),
        ([empty, "-m", checkpoints["static"]], "empty.jsonl"),
    ):
        assert message in refused(*given, "-o", output)
        assert not is_complete(output)
