"""What the documents say is there: links, commands, example configs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isoglot.cli.app import app
from isoglot.config.experiment import ExperimentConfig
from isoglot.config.loading import load_config
from isoglot.config.schema import AlignConfig, TrainConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
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
