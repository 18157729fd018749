"""The backup runbook applies every stage, once, in their order; the example target is readable."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from chronos_ops.model.settings import load_settings, parameters_dir
from chronos_ops.plans import backup

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "pgbackrest_backup_restore.ipynb"


def sources() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_notebook_applies_every_stage_in_order() -> None:
    names = {id(value): name for name, value in vars(backup).items() if name.isupper()}
    wanted = [f'run.stage("{stage.name}", backup.{names[id(stage)]})' for stage in backup.STAGES]
    assert [source for source in sources() if source.startswith("run.stage")] == wanted


def test_every_troubleshooting_id_is_one_that_a_check_can_give() -> None:
    known = (
        "".join(
            path.read_text(encoding="utf-8")
            for folder in ("plans", "drill")
            for path in (NOTEBOOK.parents[1] / "chronos_ops" / folder).glob("*.py")
        )
        .replace("{repo}", "*")
        .replace("repo{of_repo}", "repo*")
    )
    text = NOTEBOOK.read_text(encoding="utf-8")
    table = text[text.index("## Troubleshooting") :]
    ids = {word for word in table.split("`") if word.startswith(("backup.", "access."))}
    assert len(ids) > 10
    for identifier in ids:
        assert identifier.rstrip("*").rstrip("-") in known, identifier


def test_the_example_target_loads(tmp_path: Path) -> None:
    text = (parameters_dir() / "production.example.yaml").read_text(encoding="utf-8")
    (tmp_path / "production.yaml").write_text(text)
    settings = load_settings("production", tmp_path)
    assert not settings.disposable
    assert settings.host.address == "16.52.210.100"
    assert settings.backup.bucket == "project-chronos-backups"
    assert settings.backup.long_term is not None
    assert settings.objectives.recovery_time_seconds == 3600
    assert "automatonicai.com" in text
    for line in text.splitlines():  # every key of a section is explained where it stands
        if "secret:" in line:
            assert "/chronos/" in line, "names of secrets only"


@pytest.mark.parametrize("key", ["host", "postgres", "backup", "drill"])
def test_the_example_names_every_key_of_a_section(key: str) -> None:
    from chronos_ops.model.settings import Settings

    text = (parameters_dir() / "production.example.yaml").read_text(encoding="utf-8")
    model = Settings.model_fields[key].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    for name in model.model_fields:
        assert name in text, f"{key}.{name}"
