"""Base directories for the suite's models, and the configs that name them."""

import shutil
from pathlib import Path


class ModelStore:
    """A base directory for models, filled from the exported ones."""

    def __init__(self, exported: Path, root: Path) -> None:
        self.exported = exported
        self.root = root

    def place(self, model: str, version: int, *, of: str = "affine", from_version: int | None = None) -> Path:
        """Put a version in place at once, by copy and rename."""
        base = self.root / model
        base.mkdir(parents=True, exist_ok=True)
        staged = base / f"staged-{version}"
        shutil.copytree(self.exported / of / str(version if from_version is None else from_version), staged)
        return staged.rename(base / str(version))

    def spoil(self, model: str, version: int, *, missing: str, of: str = "affine") -> Path:
        """Put a version in place that lacks a file or a directory."""
        whole = self.exported / of
        staged = self.root / f"staged-{model}-{version}"
        shutil.copytree(whole / ("1" if not (whole / str(version)).exists() else str(version)), staged)
        gone = staged / missing
        if gone.is_dir():
            shutil.rmtree(gone)
        else:
            gone.unlink()
        (self.root / model).mkdir(parents=True, exist_ok=True)
        return staged.rename(self.root / model / str(version))

    def config(self, model: str, *versions: int, extra: str = "") -> str:
        """A `config {...}` entry; with versions, a specific policy."""
        policy = f"model_version_policy {{ specific {{ {' '.join(f'versions: {each}' for each in versions)} }} }}"
        return (
            f'config {{ name: "{model}" base_path: "{self.root / model}" model_platform: "tensorflow" '
            f"{policy if versions else ''} {extra} }}"
        )


def model_list(*entries: str) -> str:
    """A ModelServerConfig of such entries."""
    return "model_config_list { " + " ".join(entries) + " }"
