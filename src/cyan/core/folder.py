"""The data folder."""

from pathlib import Path

from cyan.core.config import Config


def open_data(config: Config) -> Path:
    """The data folder, made if it is missing, for its owner only."""
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    return config.data
