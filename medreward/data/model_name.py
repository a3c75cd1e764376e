"""Whether a model is there, by its name alone."""

from __future__ import annotations

from pathlib import Path

from medreward.errors import ConfigError


def check_model(name: object, where: str = "model") -> str:
    """Return what is known of a model by its name, which is not loaded.

    Args:
        name: a folder or a hub name.
        where: the setting that names it.

    Raises:
        ConfigError: if it is no text, a folder without a model, a path that is not there, or a hub
            name that the hub does not know.
    """
    import huggingface_hub as hub

    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where}: {name!r} is neither a folder nor a hub name")
    if Path(name).is_dir():
        if not (Path(name) / "config.json").is_file():
            raise ConfigError(f"{where}: the folder {name!r} has no config.json")
        return f"{where}: the folder {name}"
    try:
        hub.utils.validate_repo_id(name)  # type: ignore[attr-defined]
    except hub.errors.HFValidationError as error:
        raise ConfigError(f"{where}: {name!r} is no folder here, and no hub name") from error
    if isinstance(hub.try_to_load_from_cache(name, "config.json"), str):
        return f"{where}: {name}, from the hub's cache"
    return _ask_hub(name, where)


def _ask_hub(name: str, where: str) -> str:
    import huggingface_hub as hub

    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(name, "config.json"))
    except hub.errors.GatedRepoError as error:
        raise ConfigError(
            f"{where}: the hub has {name!r} for those only who are let in: hf auth login"
        ) from error
    except (hub.errors.RepositoryNotFoundError, hub.errors.EntryNotFoundError) as error:
        raise ConfigError(
            f"{where}: {name!r} is no folder here, and the hub has no such model (or it is "
            f"private: hf auth login)"
        ) from error
    except Exception as error:  # noqa: BLE001 - no network, in the many forms that this takes
        return (
            f"{where}: {name!r} is no folder here and not in the hub's cache, and the hub cannot "
            f"be asked ({type(error).__name__}): whether the name is right was NOT checked"
        )
    return f"{where}: {name}, from the hub"
