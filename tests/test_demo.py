"""The demonstration: what it prints and writes, and the search in any language."""

import pytest

from isoglot.artifacts import is_complete
from isoglot.cli.app import run
from isoglot.data.mini import load_mini, load_mini_groups
from isoglot.demo import run_demo
from isoglot.errors import ConfigError
from isoglot.reporting.writers import shorten


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The folder and the lines of one demonstration."""
    folder = tmp_path_factory.mktemp("demo")
    lines = []
    run_demo(folder, lines.append)
    return folder, "\n".join(lines)


def test_it_compares_the_three_regimes_and_the_encoder_as_it_comes(shown):
    _, text = shown
    header, table = text.partition("benchmark  ")[1:]
    assert header
    for word in ("rank distance", "untrained", "monolingual", "cross-lingual", "hybrid"):
        assert word in table


def test_it_writes_run_folders(shown):
    folder, _ = shown
    for regime in ("monolingual", "cross-lingual", "hybrid"):
        cell = folder / "experiment" / "isoglot-mini" / f"{regime}-seed0"
        assert is_complete(cell / "train") and is_complete(cell / "mini")


def test_it_searches_once_and_tells_three_commands(shown):
    _, text = shown
    question = next(q.text for q in load_mini("evaluation").queries if q.lang == "sw")
    assert f"searching the passages of all languages for: {question}" in text
    for command in ("isoglot train", "isoglot evaluate -m mini -b xquad-r", "isoglot demo -l yo"):
        assert command in text


@pytest.mark.parametrize("language", ["te", "ar"])
def test_the_language_of_the_search_can_be_changed(shown, language):
    lines = []
    run_demo(shown[0], lines.append, language=language)  # what is complete is not run again
    question = next(q.text for q in load_mini("evaluation").queries if q.lang == language)
    assert any(line.endswith(question) for line in lines)
    hits = [line for line in lines if line.startswith(("  0.", "  1."))]
    assert len(hits) == 6
    assert [float(hit.split()[0]) for hit in hits] == sorted(
        (float(hit.split()[0]) for hit in hits), reverse=True
    )


def test_a_question_of_ones_own_finds_its_passage(shown):
    lines = []
    run_demo(shown[0], lines.append, query="Why does the Moon glow red in a total eclipse?")
    (group,) = (g for g in load_mini_groups("evaluation") if g.group_id == "red-lunar-eclipse")
    passages = tuple(shorten(text, 100) for text in group.passage.values())
    assert any(line.endswith(passages) for line in lines)


def test_an_empty_question_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--query: the question is empty"):
        run_demo(tmp_path / "demo", print, query="  ")


def test_a_language_without_questions_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match=r"no question in 'fi'; allowed: ar, bn, .*--query"):
        run_demo(tmp_path / "demo", print, language="fi")
    assert not (tmp_path / "demo").exists()


def test_the_command_tells_a_wrong_language(capsys, tmp_path):
    assert run(["demo", "-o", str(tmp_path / "demo"), "-l", "xx"]) == 2
    assert "--language: the embedded collection has no question in 'xx'" in capsys.readouterr().err
