"""Policies: hand one on, list them, go back to one, remove old ones; and code that was accepted."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from curec_assets.cli.common import (
    ProfileOption,
    enter_home,
    require_dagster_home,
    resources_of,
    silence_libraries,
)
from curec_assets.settings import DEFAULT_PROFILE
from resources.errors import ConfigError


class Adapter(StrEnum):
    """Adapters that can be exported."""

    reason_policy = "reason_policy"
    aligned_llm = "aligned_llm"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(epilog="Example: curec export-policy out/policy")(export_policy)
    app.command(epilog="Example: curec policies --pin 3f2a")(policies)
    app.command(epilog="Example: curec use-policy 3f2a")(use_policy)
    app.command(epilog="Example: curec prune --keep 2 --delete")(prune)
    app.command(epilog="Example: curec accept-code aligned_llm")(accept_code)


def export_policy(
    folder: Annotated[Path, typer.Argument(help="New folder to write.")],
    asset: Annotated[
        Adapter, typer.Option(help="Adapter after reinforcement learning, or after alignment.")
    ] = Adapter.reason_policy,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Write the policy for transformers, peft and vllm, with a model card."""
    silence_libraries()

    from curec_assets.reports.export import ExportSources, export_policy
    from curec_assets.settings import load_profile

    chosen = load_profile(profile)
    resources = resources_of(chosen.name)
    sources = ExportSources(
        store=resources["model_store"],
        warehouse=resources["warehouse"],
        language_model=resources["language_model"],
        accelerator=resources["accelerator"],
        generator_factory=resources["generator_factory"],
    )
    print(export_policy(folder.resolve(), asset.value, chosen, sources))


def policies(
    pin: Annotated[
        str | None, typer.Option(metavar="ID", help="Keep this one whatever `prune` removes.")
    ] = None,
    unpin: Annotated[
        str | None, typer.Option(metavar="ID", help="Keep it no longer than others.")
    ] = None,
) -> None:
    """List the policies that are kept, with all that was made with each."""
    enter_home()
    from curec_assets.automation.use_policy import kept_policy
    from curec_assets.policy.archive import ARCHIVE
    from curec_assets.reports.kept_policies import kept_policies

    resources = resources_of()
    store = resources["model_store"]
    if pin is not None:
        store.pin(ARCHIVE, kept_policy(store, pin).fingerprint)
    if unpin is not None:
        store.unpin(ARCHIVE, kept_policy(store, unpin).fingerprint)
    print(kept_policies(resources["warehouse"], store))


def use_policy(
    policy: Annotated[str, typer.Argument(help="Its id in `curec policies`, or how that begins.")],
    discard: Annotated[
        bool, typer.Option("--discard", help="Give up present tables that no archive holds.")
    ] = False,
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Go back to a kept policy and all that was made with it; trains nothing."""
    enter_home(writes=True)
    require_dagster_home()

    import dagster as dg

    from curec_assets.automation.run_launcher import fail_dead_runs
    from curec_assets.automation.use_policy import use_policy, waiting_for
    from curec_assets.definitions import recipes
    from curec_assets.settings import load_profile

    chosen = load_profile(profile)
    resources = resources_of(chosen.name)
    warehouse, store = resources["warehouse"], resources["model_store"]
    with dg.DagsterInstance.get() as instance:
        said = list(fail_dead_runs(instance))
        used = use_policy(policy, recipes(), warehouse, store, instance, discard=discard)
        held = waiting_for(recipes(), chosen, store, instance)
    said.append(
        f"Policy {used.fingerprint} is current, with its models, its snapshot and their tables. "
        "The fast lane follows: by its sensor while `make ui` runs, or by the job `refresh`."
    )
    print("\n".join((*said, *(f"The fast lane's sensor waits: {each}" for each in held))))


def prune(
    keep: Annotated[int, typer.Option(help="Versions kept beside the current one.")] = 1,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is listed.")] = False,
) -> None:
    """List old models and leftovers of unfinished work; remove them with --delete."""
    enter_home(writes=delete)
    from curec_assets.core.inputs import completions_folder, fits_folder
    from curec_assets.reports.outcome import text_table
    from resources.storage.retention import kept_versions, leftovers, remove

    store = resources_of()["model_store"]
    kept = kept_versions(store, keep)
    still_good = {completions_folder(store, each.data_version) for each in kept}
    found = leftovers(store, kept, still_good | {fits_folder(store)})
    if not found:
        print("Nothing to remove: every version is current, kept, or what one of these came from.")
        return
    if delete:
        remove(found)
    root = Path(store.root)
    rows = [
        [str(each.path.relative_to(root)), f"{each.bytes / 1e6:.1f} MB", each.why] for each in found
    ]
    total = sum(each.bytes for each in found) / 1e6
    done = "removed" if delete else "would be removed; do it with --delete"
    print(f"{text_table(['folder', 'size', 'why'], rows)}\n\n{total:.1f} MB {done}")


def accept_code(
    asset: Annotated[str, typer.Argument(help="Name of the asset, such as aligned_llm.")],
) -> None:
    """Say that changed code does not alter what is stored of an asset."""
    enter_home(writes=True)
    from curec_assets.core.accepted_code import accept_code
    from curec_assets.definitions import recipes

    known = {recipe.name: recipe for recipe in recipes()}
    if asset not in known:
        raise ConfigError(f"asset {asset!r} does not exist; choose one of {', '.join(known)}")
    resources = resources_of()
    print(accept_code(known[asset], resources["warehouse"], resources["model_store"]))
