"""``isoglot correct``: what it writes, what evaluation and export make of it, what it refuses."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import typer
import yaml
from sentence_transformers import SentenceTransformer
from sklearn.metrics.pairwise import cosine_similarity

from isoglot.artifacts import is_complete
from isoglot.cli.app import run
from isoglot.cli.correct import correct
from isoglot.config.correction import CorrectConfig
from isoglot.config.schema import EvaluationConfig, ModelConfig, TrainConfig
from isoglot.data.files import write_json_lines
from isoglot.data.groups import write_groups
from isoglot.data.mini import load_mini_groups
from isoglot.errors import ModelError
from isoglot.models import loading
from isoglot.models.correction.attach import find_correction, open_encoder, refuse_corrected
from isoglot.models.export import export_encoder
from isoglot.pipeline.correction import run_correction
from isoglot.pipeline.evaluation import run_evaluation
from isoglot.training.checks import check_encoder

METHODS = ("mean", "lir", "lsar", "shift", "wccn")
needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec("onnxscript") is None, reason="needs isoglot[onnx]"
)


@pytest.fixture
def command():
    """Return the command alone, as a command line of its own."""
    app = typer.Typer()
    app.command()(correct)
    return app


@pytest.fixture(scope="module")
def bitext(tmp_path_factory):
    """Return a file with the 80 training passages of the embedded collection."""
    path = tmp_path_factory.mktemp("bitext") / "passages.jsonl.gz"
    groups = load_mini_groups("train")
    write_json_lines(path, ({"id": g.group_id, "text": dict(g.passage)} for g in groups))
    return path


@pytest.fixture(scope="module")
def folders(bitext, checkpoints, tmp_path_factory):
    """Return the run folders of the static checkpoint, corrected by each method."""
    folder = tmp_path_factory.mktemp("corrected")
    model = ModelConfig(name=str(checkpoints["static"]))
    for method in METHODS:
        correction = {"method": method, "data": [{"path": str(bitext), "format": "bitext"}]}
        run_correction(CorrectConfig(model=model, correction=correction), folder / method)
    return folder


def test_a_run_folder_says_what_was_fitted(command, bitext, checkpoints, tmp_path, capsys):
    output = tmp_path / "out"
    line = ["-m", str(checkpoints["static"]), "--method", "mean", "--data", str(bitext)]
    line += ["--languages", "de,en,sw", "--texts-per-language", "50", "-o", str(output)]
    assert run(line, command) == 0
    captured = capsys.readouterr()
    assert captured.out == f"model: {output / 'model'}\n"
    assert "mean fitted on texts in 3 languages: de 50, en 50, sw 50\n" in captured.err
    assert "of held-out texts, least in " in captured.err
    assert is_complete(output)
    files = {"COMPLETE", "config.yaml", "correction.json", "model", "provenance.json"}
    assert {path.name for path in output.iterdir()} == files
    record = json.loads((output / "correction.json").read_text("utf-8"))
    assert record["texts"] == {"de": 50, "en": 50, "sw": 50}
    assert record["held_out"] == {"de": 8, "en": 8, "sw": 8}
    assert all(0.5 < share <= 1 for share in record["detected"].values())
    provenance = json.loads((output / "provenance.json").read_text("utf-8"))
    assert len(provenance["data_sha256"]["passages"]) == 64
    saved = yaml.safe_load((output / "config.yaml").read_text("utf-8"))
    assert CorrectConfig(**saved).correction.languages == ("de", "en", "sw")


def test_options_stand_before_the_config_and_set_before_both(command, bitext, tmp_path, capsys):
    config = {
        "model": {"name": "mini"},
        "correction": {
            "method": "lir",
            "components": 3,
            "languages": ["de", "en"],
            "data": [{"path": str(bitext), "format": "bitext"}],
        },
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    line = [str(path), "--components", "2", "--set", "correction.components=1"]
    assert run([*line, "-o", str(tmp_path / "out")], command) == 0
    record = json.loads((tmp_path / "out" / "correction.json").read_text("utf-8"))
    assert (record["method"], record["components"]) == ("lir", 1)
    # As small as the encoder came: bytes, and a scale for each subword.
    assert (tmp_path / "out" / "model" / "model.safetensors").stat().st_size < 18e6
    corrected = open_encoder(str(tmp_path / "out" / "model"), device="cpu")
    plain = SentenceTransformer(str(loading.embedded_encoder()), device="cpu")
    apart = corrected[0].embedding.weight - plain[0].embedding.weight
    assert apart.abs().max() < 1e-6


def test_a_corrected_encoder_is_not_trained(folders, bitext, tmp_path):
    data = [{"path": str(bitext), "format": "bitext"}]
    for method in METHODS:
        config = TrainConfig.model_validate(
            {"model": {"name": str(folders / method)}, "data": data}
        )
        with pytest.raises(ModelError, match=rf"has a correction \({method}\)"):
            check_encoder(loading.load_encoder(config.model), config.model)


def test_directions_in_which_translations_differ_are_made_shorter(folders, checkpoints):
    record = json.loads((folders / "wccn" / "correction.json").read_text("utf-8"))
    assert (record["power"], record["texts"]["sw"]) == (0.3, 80)
    plain = SentenceTransformer(str(checkpoints["static"]), device="cpu")
    corrected = SentenceTransformer(str(folders / "wccn" / "model"), device="cpu")
    groups = [[g.passage[lang] for lang in ("de", "sw")] for g in load_mini_groups("train")]
    same, others = [], []
    for model in (plain, corrected):
        german, swahili = (model.encode(list(texts)) for texts in zip(*groups, strict=True))
        scores = cosine_similarity(german, swahili)
        same.append(np.diagonal(scores).mean())
        others.append(scores.mean())
    assert same[1] - others[1] > same[0] - others[0]


def test_a_linear_correction_is_plain_and_others_name_their_class(folders):
    for method in METHODS:
        model = open_encoder(str(folders / method / "model"), device="cpu")
        assert find_correction(model) == method
    plain = SentenceTransformer(str(folders / "lsar" / "model"), device="cpu")
    assert find_correction(plain) == "lsar"
    record = json.loads((folders / "lsar" / "correction.json").read_text("utf-8"))
    assert record["components"] == 11  # of 12 languages
    assert "detected" not in record


@pytest.mark.parametrize("method", METHODS)
def test_a_corrected_encoder_is_evaluated(method, folders, tmp_path):
    model = ModelConfig(name=str(folders / method))
    config = EvaluationConfig(benchmark="mini", measures=("AP",), subsets={})
    evaluation = run_evaluation(model, config, tmp_path / "out")
    assert 0 < evaluation.summary["multilingual"]["AP"] < 1


def test_a_corrected_encoder_is_not_corrected_again(folders, bitext, tmp_path):
    for method in METHODS:
        name = str(folders / method)
        data = [{"path": str(bitext), "format": "bitext"}]
        config = CorrectConfig(model={"name": name}, correction={"data": data})
        with pytest.raises(ModelError, match=rf"has a correction \({method}\), which fits only"):
            run_correction(config, tmp_path / "out")
        with pytest.raises(ModelError, match="train or correct the encoder that it was made from"):
            refuse_corrected(loading.load_encoder(config.model), f"model {name!r}")
    assert not list(tmp_path.iterdir())


@needs_onnx
@pytest.mark.slow  # tracing takes seconds
@pytest.mark.parametrize("method", METHODS)
def test_corrections_that_make_no_difference_between_roles_are_exported(method, folders, tmp_path):
    model = ModelConfig(name=str(folders / method))
    if method == "shift":  # a graph does not know which of its texts are passages
        with pytest.raises(ModelError, match="was not exported: onnxruntime gives other vectors"):
            export_encoder(model, tmp_path / "out")
    else:
        assert export_encoder(model, tmp_path / "out").difference < 1e-4


@pytest.mark.parametrize("name", ["labse", "e5"])
def test_a_transformer_is_corrected_before_its_length_is_made_one(
    name, bitext, checkpoints, tmp_path
):
    model = ModelConfig(name=str(checkpoints[name]))
    data = [{"path": str(bitext), "format": "bitext"}]
    for method in ("mean", "lsar"):
        config = CorrectConfig(model=model, correction={"method": method, "data": data})
        path = run_correction(config, tmp_path / method)
        encoder = open_encoder(str(path), device="cpu")
        kinds = [type(module).__name__ for module in encoder]
        assert kinds[-2:] == [{"mean": "LanguageCorrection", "lsar": "Dense"}[method], "Normalize"]
        vectors = encoder.encode_document(["to be", "nicht sein"])
        assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)


def test_what_cannot_be_done_is_one_line_and_exit_code_2(command, bitext, tmp_path, capsys):
    groups = tmp_path / "one-language.jsonl"
    write_groups(
        groups, (g._replace(passage={"en": "x " + g.group_id}) for g in load_mini_groups("train"))
    )
    squad = tmp_path / "questions.json"
    squad.write_text("{}", "utf-8")
    used = tmp_path / "used"
    used.mkdir()
    (used / "notes.txt").write_text("mine", "utf-8")
    mini, good = ["-m", "mini"], ["--data", str(bitext)]
    output = tmp_path / "out"
    for line, message in (
        (good, "--model is missing; name an encoder"),
        (mini, "--data is missing; name a file of parallel texts"),
        ([*mini, "--method", "pca", *good], "correction.method: input should be 'mean', 'lir',"),
        ([*mini, "--components", "0", *good], "correction.components: "),
        ([*mini, "--components", "40", *good], "of 12 languages differ in 11 directions"),
        ([*mini, "--method", "shift", "--lang", "fr", *good], "lang: no text in fr; the data has"),
        ([*mini, "--languages", "de,fr", *good], "languages: no text in fr; the data has ar"),
        ([*mini, "--data", str(tmp_path / "none.jsonl")], "none.jsonl"),
        ([*mini, "--data", str(squad)], "is in squad layout; allowed are bitext and parallel"),
        ([*mini, "--method", "wccn", "--data", str(groups)], "no data set has 20 groups with"),
        ([*mini, "--set", "correction.power=0.5", *good], "power: lsar has none; take power out"),
        ([*mini, "--data", str(groups)], "there are texts only in en; add data in other"),
        ([*mini, "--method", "shift", "--data", str(groups)], "shift needs a language besides"),
        (["-m", "./nothing", *good], "model './nothing': no such folder"),
    ):
        assert run([*line, "-o", str(output)], command) == 2, line
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("isoglot: ") and message in error
        assert not output.exists()
    assert run([*mini, *good, "-o", str(used)], command) == 2
    assert "is not empty; choose another --output" in capsys.readouterr().err
    assert [path.name for path in used.iterdir()] == ["notes.txt"]


def test_a_complete_run_stays_and_an_unfinished_one_is_made_again(
    bitext, checkpoints, tmp_path, command, capsys, monkeypatch
):
    output = tmp_path / "out"
    line = ["-m", str(checkpoints["static"]), "--data", str(bitext), "-o", str(output)]

    def fail(encoder, layer):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SentenceTransformer, "save_pretrained", fail)
        assert run(line, command) == 2
    assert "model: cannot be written (No space left on device)" in capsys.readouterr().err
    assert [path.name for path in output.iterdir()] == ["config.yaml"]
    assert run(line, command) == 0
    assert is_complete(output)
    assert run(line, command) == 2
    assert "already holds a complete result" in capsys.readouterr().err
