"""How far long work is, how fast it goes and how long it still takes: in one form everywhere."""

from tqdm import tqdm

_FORM = "{n_fmt} of {total_fmt} {unit}s, {rate_fmt}, {remaining} left"


def how_far(done: int, of: int, seconds: float, unit: str, before: int = 0) -> str:
    """Such as `12 of 60 steps, 3.21s/step, 02:34 left`.

    `seconds`: what this run took. `before`: of `done`, what an earlier run had done.
    """
    said: str = tqdm.format_meter(
        done, of, seconds, unit=unit, initial=before, bar_format=_FORM, unit_scale=False
    )
    return " ".join(said.split())
