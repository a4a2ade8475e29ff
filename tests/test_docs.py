"""What the documents say is there: links, commands, example configs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from isoglot.cli.app import app
from isoglot.config.experiment import ExperimentConfig
from isoglot.config.loading import load_config
from isoglot.config.schema import AlignConfig, TrainConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*.md")])
SCHEMAS = {"align": AlignConfig, "train": TrainConfig, "experiment": ExperimentConfig}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_every_command_is_documented():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    names = [info.name or info.callback.__name__ for info in app.registered_commands]
    names += [info.name for info in app.registered_groups]
    for name in names:
        assert f"isoglot {name}" in text or f"make {name}" in text, name


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/*.yaml")), ids=lambda path: path.name)
def test_example_configs_are_valid(path):
    load_config(SCHEMAS[path.stem.split("-")[0]], path)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("experiments/*.yaml")), ids=lambda path: path.name
)
def test_experiments_are_valid(path):
    is_grid = "encoders" in yaml.safe_load(path.read_text("utf-8"))
    load_config(ExperimentConfig if is_grid else TrainConfig, path)


def test_the_variants_of_the_documentation_are_valid(tmp_path):
    page = (ROOT / "docs" / "experiments.md").read_text("utf-8")
    (example,) = re.findall(r"```\n(variants:\n.*?)```", page, re.DOTALL)
    grid = yaml.safe_load((ROOT / "configs" / "experiment.yaml").read_text("utf-8"))
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({**grid, **yaml.safe_load(example)}), "utf-8")
    assert load_config(ExperimentConfig, path).labels[4:] == (
        *("kl", "warm", "native", "kl-lsar", "plain-shift"),
    )
