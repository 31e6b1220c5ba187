"""`curec`: run everything here, show what came out, hand on the policy, list the settings.

`curec demo [--profile smoke]` materialises every asset in this process and prints the outcome;
`curec outcome` prints the outcome of what is stored; `curec export-policy FOLDER` writes the policy
for `transformers`, `peft` and `vllm serve`; `curec accept-code ASSET` declares that changed code
does not alter a stored result; `curec quarantine` lists what of your files was left out; `curec
policies` lists the policies that are kept, and `curec use-policy ID` goes back to one; `curec
prune` lists and removes old models; `curec forget USER` takes a user out of the home; `curec
doctor` looks whether this home is sound; `curec
profiles` lists every setting.
"""

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from curec_assets.settings import PROFILES, Profile, Section
from resources.errors import ConfigError, CurecError

_WRITING = ("demo", "accept-code", "forget", "use-policy")
_QUIET = ("dagster", "transformers", "trl", "peft", "datasets", "sentence_transformers", "httpx")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    parser = argparse.ArgumentParser(prog="curec", description="Recommendations with reasons.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="materialise everything, then print the outcome")
    demo.add_argument("--profile", help="profile or .toml file; else CUREC_PROFILE, else laptop")
    commands.add_parser("outcome", help="print the outcome of what is stored")
    export = commands.add_parser(
        "export-policy", help="write the policy for transformers, peft and vllm, with a model card"
    )
    export.add_argument("folder", type=Path, help="new folder to write")
    export.add_argument(
        "--asset",
        choices=("reason_policy", "aligned_llm"),
        default="reason_policy",
        help="which adapter: after reinforcement learning (default) or after alignment",
    )
    export.add_argument(
        "--profile", help="profile that trained it; else CUREC_PROFILE, else laptop"
    )
    accepting = commands.add_parser(
        "accept-code", help="say that changed code does not alter what is stored of an asset"
    )
    accepting.add_argument("asset", help="name of the asset, such as aligned_llm")
    commands.add_parser(
        "quarantine", help="list the cells for which rows of your file were left out"
    )
    listing = commands.add_parser(
        "policies", help="list the policies that are kept, with all that was made with each"
    )
    listing.add_argument("--pin", metavar="ID", help="keep this one whatever `prune` removes")
    listing.add_argument("--unpin", metavar="ID", help="keep it no longer than others")
    using = commands.add_parser(
        "use-policy", help="go back to a kept policy and all that was made with it; trains nothing"
    )
    using.add_argument("policy", help="its id in `curec policies`, or how that begins")
    using.add_argument(
        "--discard", action="store_true", help="give up present tables that no archive holds"
    )
    using.add_argument(
        "--profile", help="profile that the fast lane runs with; else CUREC_PROFILE, else laptop"
    )
    pruning = commands.add_parser(
        "prune", help="list old models and leftovers of unfinished work; remove them with --delete"
    )
    pruning.add_argument(
        "--keep", type=int, default=1, help="versions kept beside the current one (default: 1)"
    )
    pruning.add_argument("--delete", action="store_true", help="remove what is listed")
    forgetting = commands.add_parser(
        "forget", help="take a user out of the home for good, and prove that nothing is left"
    )
    forgetting.add_argument("user", help="id of the user, as in your file")
    forgetting.add_argument(
        "--profile", help="profile that the home was made with; else CUREC_PROFILE, else laptop"
    )
    doctor = commands.add_parser(
        "doctor", help="look whether this home is sound: exit code 1 when it is not"
    )
    doctor.add_argument(
        "--fix",
        action="store_true",
        help="do what is safe: modes, runs that were left behind, the copy of the warehouse",
    )
    commands.add_parser("profiles", help="list every setting of every profile")
    chosen = parser.parse_args(arguments)
    # An export is for others; `doctor` looks, and changes nothing unless it is told to.
    if chosen.command not in ("profiles", "export-policy", "doctor"):
        _keep_private()
    try:
        if chosen.command in _WRITING or getattr(chosen, "delete", False):
            _require_writable()
        if chosen.command == "demo":
            return _demo(chosen.profile)
        if chosen.command == "doctor":
            return _doctor(fix=chosen.fix)
        if chosen.command == "export-policy":
            print(_export(chosen.folder, chosen.asset, chosen.profile))
        elif chosen.command == "accept-code":
            print(_accept_code(chosen.asset))
        elif chosen.command == "quarantine":
            print(_quarantine())
        elif chosen.command == "forget":
            _forget(chosen.user, chosen.profile)
        elif chosen.command == "policies":
            print(_policies(chosen.pin, chosen.unpin))
        elif chosen.command == "use-policy":
            print(_use_policy(chosen.policy, chosen.profile, discard=chosen.discard))
        elif chosen.command == "prune":
            print(_prune(chosen.keep, delete=chosen.delete))
        else:
            print(_outcome() if chosen.command == "outcome" else describe_profiles())
    except CurecError as error:
        print(f"curec: {error}", file=sys.stderr)
        return 1
    return 0


def _require_writable() -> None:
    from curec_assets.definitions import home_folder
    from resources.storage.private import require_writable

    home = home_folder()
    for folder in (home, Path(os.environ.get("DAGSTER_HOME") or home / "dagster")):
        require_writable(folder)


def _keep_private() -> None:
    from curec_assets.definitions import private_home

    private_home()


def _demo(profile: str | None) -> int:
    _require_dagster_home()
    _silence_libraries()
    started = time.monotonic()

    import dagster as dg

    from curec_assets.automation.interruption import interruptible
    from curec_assets.automation.old_runs import KEPT, drop_old_runs
    from curec_assets.automation.run_launcher import fail_dead_runs
    from curec_assets.automation.run_progress import RunProgress
    from curec_assets.definitions import (
        build_definitions,
        default_resources,
        home_folder,
        recipes,
    )
    from curec_assets.reports.costs import cost_table, write_costs
    from resources.storage.warehouse_copy import keep_copy

    progress = RunProgress(len(recipes()))
    definitions = build_definitions(profile=profile, loggers={"progress": progress.logger()})
    job = definitions.resolve_job_def("everything")
    with dg.DagsterInstance.get() as instance:
        for said in fail_dead_runs(instance):
            print(said, flush=True)
        drop_old_runs(instance, getattr(instance.run_launcher, "kept_runs", KEPT))
        result = interruptible(
            job,
            instance,
            raise_on_error=False,
            run_config={"loggers": {"progress": {}}},
            tags={"curec/why": "curec demo"},
        )
    if not result.success:
        raise CurecError(
            f"{progress.failure or 'the run failed'}\nDetails: `make ui`, run {result.run_id}. "
            "What was made before is kept; the same command continues from there"
        )
    chosen = profile or os.environ.get("CUREC_PROFILE") or "laptop"
    write_costs(home_folder() / "costs.json", progress.run_costs(), chosen)
    print(f"\n{cost_table(progress.run_costs(), time.monotonic() - started)}\n\n{_outcome()}")
    keep_copy(default_resources(chosen, home_folder())["warehouse"])
    return 0


def _require_dagster_home() -> None:
    if not os.environ.get("DAGSTER_HOME"):
        raise ConfigError(
            "DAGSTER_HOME is not set, so the UI and its sensors would not know of this; set it to "
            "a folder that holds deploy/dagster.yaml as dagster.yaml (`make demo` and `make ui` "
            "use $CUREC_HOME/dagster)"
        )
    if not Path(os.environ["DAGSTER_HOME"], "dagster.yaml").is_file():
        raise ConfigError(
            f"DAGSTER_HOME {os.environ['DAGSTER_HOME']!r} holds no dagster.yaml; copy "
            "deploy/dagster.yaml there, or use `make setup`"
        )


def _silence_libraries() -> None:
    """Leave the terminal to the progress lines; warnings and errors still show."""
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("TQDM_DISABLE", "1")
    # The parts of TRL and Dagster that we use on purpose and pinned.
    warnings.filterwarnings("ignore", message="You are using 'rollout_func'")
    warnings.filterwarnings("ignore", category=DeprecationWarning)


def _outcome() -> str:
    from curec_assets.definitions import default_resources, home_folder, recipes
    from curec_assets.reports.outcome import outcome

    resources = default_resources("laptop", home_folder())
    assets = [recipe.name for recipe in recipes()]
    return outcome(resources["warehouse"], resources["model_store"], assets)


def _export(folder: Path, asset: str, profile: str | None) -> str:
    _silence_libraries()

    from curec_assets.definitions import DEFAULT_PROFILE, default_resources, home_folder
    from curec_assets.reports.export import ExportSources, export_policy
    from curec_assets.settings import load_profile

    chosen = load_profile(profile or os.environ.get("CUREC_PROFILE") or DEFAULT_PROFILE)
    resources = default_resources(chosen.name, home_folder())
    sources = ExportSources(
        store=resources["model_store"],
        warehouse=resources["warehouse"],
        language_model=resources["language_model"],
        accelerator=resources["accelerator"],
        generator_factory=resources["generator_factory"],
    )
    return export_policy(folder.resolve(), asset, chosen, sources)


def _accept_code(asset: str) -> str:
    from curec_assets.core.accepted_code import accept_code
    from curec_assets.definitions import default_resources, home_folder, recipes

    known = {recipe.name: recipe for recipe in recipes()}
    if asset not in known:
        raise ConfigError(f"asset {asset!r} does not exist; choose one of {', '.join(known)}")
    resources = default_resources("laptop", home_folder())
    return accept_code(known[asset], resources["warehouse"], resources["model_store"])


def _quarantine() -> str:
    from curec_assets.definitions import default_resources, home_folder
    from curec_assets.reports.outcome import text_table

    rows = default_resources("laptop", home_folder())["warehouse"].read("quarantine")
    if rows.is_empty():
        return "Nothing is in quarantine: every row of the interactions was read."
    return (
        f"{rows['row'].n_unique()} rows were left out. Correct them in the file: a changed file is "
        f"read again as a whole.\n\n"
        + text_table(rows.columns, [[str(cell) for cell in row] for row in rows.iter_rows()])
    )


def _forget(user: str, profile: str | None) -> None:
    import dagster as dg

    from curec_assets.automation.lanes import FAST
    from curec_assets.automation.run_progress import RunProgress
    from curec_assets.definitions import build_definitions, default_resources, home_folder, recipes
    from curec_assets.lifecycle.forget import forget_user

    _require_dagster_home()
    _silence_libraries()
    chosen = profile or os.environ.get("CUREC_PROFILE") or "laptop"
    resources = default_resources(chosen, home_folder())
    progress = RunProgress(1 + len(FAST))
    with dg.DagsterInstance.get() as instance:
        forget_user(
            user,
            build_definitions(profile=chosen, loggers={"progress": progress.logger()}),
            recipes(),
            resources["warehouse"],
            resources["model_store"],
            instance,
            say=lambda text: print(text, flush=True),
            run_config={"loggers": {"progress": {}}},
        )


def _policies(pinned: str | None, unpinned: str | None) -> str:
    from curec_assets.automation.use_policy import kept_policy
    from curec_assets.definitions import default_resources, home_folder
    from curec_assets.policy.archive import ARCHIVE
    from curec_assets.reports.kept_policies import kept_policies

    resources = default_resources("laptop", home_folder())
    store = resources["model_store"]
    if pinned is not None:
        store.pin(ARCHIVE, kept_policy(store, pinned).fingerprint)
    if unpinned is not None:
        store.unpin(ARCHIVE, kept_policy(store, unpinned).fingerprint)
    return kept_policies(resources["warehouse"], store)


def _use_policy(policy: str, profile: str | None, *, discard: bool) -> str:
    _require_dagster_home()

    import dagster as dg

    from curec_assets.automation.run_launcher import fail_dead_runs
    from curec_assets.automation.use_policy import use_policy, waiting_for
    from curec_assets.definitions import DEFAULT_PROFILE, default_resources, home_folder, recipes
    from curec_assets.settings import load_profile

    chosen = load_profile(profile or os.environ.get("CUREC_PROFILE") or DEFAULT_PROFILE)
    resources = default_resources(chosen.name, home_folder())
    warehouse, store = resources["warehouse"], resources["model_store"]
    with dg.DagsterInstance.get() as instance:
        said = list(fail_dead_runs(instance))
        used = use_policy(policy, recipes(), warehouse, store, instance, discard=discard)
        held = waiting_for(recipes(), chosen, store, instance)
    said.append(
        f"Policy {used.fingerprint} is current, with its models, its snapshot and their tables. "
        "The fast lane follows: by its sensor while `make ui` runs, or by the job `refresh`."
    )
    return "\n".join((*said, *(f"The fast lane's sensor waits: {each}" for each in held)))


def _prune(keep: int, *, delete: bool) -> str:
    from curec_assets.core.inputs import completions_folder, fits_folder
    from curec_assets.definitions import default_resources, home_folder
    from curec_assets.reports.outcome import text_table
    from resources.storage.retention import kept_versions, leftovers, remove

    store = default_resources("laptop", home_folder())["model_store"]
    kept = kept_versions(store, keep)
    still_good = {completions_folder(store, each.data_version) for each in kept}
    found = leftovers(store, kept, still_good | {fits_folder(store)})
    if not found:
        return "Nothing to remove: every version is current, kept, or what one of these came from."
    if delete:
        remove(found)
    root = Path(store.root)
    rows = [
        [str(each.path.relative_to(root)), f"{each.bytes / 1e6:.1f} MB", each.why] for each in found
    ]
    total = sum(each.bytes for each in found) / 1e6
    done = "removed" if delete else "would be removed; do it with --delete"
    return f"{text_table(['folder', 'size', 'why'], rows)}\n\n{total:.1f} MB {done}"


def _doctor(*, fix: bool) -> int:
    from curec_assets.definitions import default_resources, home_folder, recipes
    from curec_assets.lifecycle import doctor, runs
    from curec_assets.lifecycle.findings import Finding, report

    home = home_folder()
    if not home.is_dir():
        raise ConfigError(f"home {home} does not exist; set CUREC_HOME, or run `curec demo` first")
    dagster_home = Path(os.environ.get("DAGSTER_HOME") or home / "dagster")
    resources = default_resources("laptop", home)
    warehouse, store = resources["warehouse"], resources["model_store"]

    def look() -> list[Finding]:
        stored = doctor.of_storage(home, warehouse, store, recipes())
        return [*stored, *runs.of_dagster(dagster_home)]

    found = look()
    if fix:
        for done in (*doctor.repair(home, warehouse, found), *runs.repair(dagster_home)):
            print(done, flush=True)
        found = look()
    print(report(found))
    return 0 if all(each.sound for each in found) else 1


def describe_profiles() -> str:
    """Every setting with its value in each profile, and what it means."""
    lines = [f"Profiles: {', '.join(PROFILES)}. Choose with CUREC_PROFILE or --profile."]
    for name, field in Profile.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            lines += ["", f"[{name}] {(field.annotation.__doc__ or '').strip()}"]
            for key, setting in field.annotation.model_fields.items():
                values = [getattr(getattr(profile, name), key) for profile in PROFILES.values()]
                lines += [f"  {key} = {_values(values)}", f"      {setting.description}"]
        else:
            values = [getattr(profile, name) for profile in PROFILES.values()]
            lines += [f"{name} = {_values(values)}", f"      {field.description}"]
    return "\n".join(lines)


def _values(values: Sequence[object]) -> str:
    if len(set(values)) == 1:
        return repr(values[0])
    return ", ".join(f"{name}: {value!r}" for name, value in zip(PROFILES, values, strict=True))


if __name__ == "__main__":
    sys.exit(main())
