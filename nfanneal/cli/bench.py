"""`nfanneal bench`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from nfanneal.anneal.schedule import SCHEDULES
from nfanneal.bench.samplers.peer import USUAL
from nfanneal.bench.samplers.peers import PEERS
from nfanneal.bench.samplers.race import Plan, by_schedule, own_name, race
from nfanneal.bench.samplers.ratios import ratios
from nfanneal.bench.samplers.results import Bench
from nfanneal.cli.completion import files_or
from nfanneal.cli.files import FORMATS, refuse_existing, write_text
from nfanneal.cli.words import Duration, listed_words
from nfanneal.cli.workers import workers_option
from nfanneal.errors import ExitCode
from nfanneal.model.executors.choice import Workers
from nfanneal.report.bench import bench_json, print_bench, print_ratios, ratios_json, run_line
from nfanneal.report.consoles import console
from nfanneal.report.figures import save
from nfanneal.report.figures.bench import bench_figure
from nfanneal.results.identity import run_identity
from nfanneal.runs.cost import by_cost, cost_that_decides
from nfanneal.runs.settings import build_settings
from nfanneal.runtime.files import replaced
from nfanneal.runtime.threads import set_threads
from nfanneal.spec.annealing import PRESETS
from nfanneal.spec.build.problem import build_problem
from nfanneal.spec.checked import CheckedSpec
from nfanneal.spec.load import read_spec


def _config_or_engine(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """CONFIG, or the second word of `bench engine` if it is begun: it would hide files in bash."""
    return files_or(["engine", "calls"] if incomplete else [], incomplete)


@click.command(
    "bench",
    epilog="Example: nfanneal bench model.yaml --against dynesty,nautilus -o bench.json",
)
@click.argument(
    "configs", type=click.Path(path_type=Path), shell_complete=_config_or_engine, nargs=-1,
    required=True, metavar="CONFIG…",
)  # fmt: skip
@click.option(
    "--against", metavar="NAME,…", show_default=True,
    default=",".join(name for name, peer in PEERS.items() if peer.extra == USUAL),
    help=f"Samplers to run beside nfanneal: {', '.join(PEERS)}; `none` for nfanneal alone.",
)  # fmt: skip
@click.option(
    "--schedules", default="ess", show_default=True, metavar="NAME,…",
    help=f"nfanneal's own schedules to run: {', '.join(SCHEDULES)}; `none` jumps to β = 1 at once.",
)  # fmt: skip
@click.option(
    "--presets", default="", metavar="NAME,…",
    help=f"Presets of nfanneal to run, too: {', '.join(PRESETS)}.",
)  # fmt: skip
@click.option(
    "--repeats", type=click.IntRange(min=1), default=3, show_default=True,
    help="Runs of each sampler, with seeds SEED, SEED+1, …",
)  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), help="Threads for every one. [all cores]")
@workers_option
@click.option(
    "--budget", type=Duration(), default="10m", show_default=True, metavar="TIME",
    help="Most time per run, such as 90s, 10m or 1h; checked at every call of the likelihood.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), help="The first seed. [the spec's]")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the spec; repeatable."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write everything as JSON.")
@click.option(
    "--figure", type=click.Path(path_type=Path), help="Draw log-evidence against wall time."
)
@click.option("--force", is_flag=True, help="Overwrite files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    configs: tuple[Path, ...],
    against: str,
    schedules: str,
    presets: str,
    repeats: int,
    threads: int | None,
    workers: Workers | None,
    budget: float,
    seed: int | None,
    overrides: tuple[str, ...],
    output: Path | None,
    figure: Path | None,
    force: bool,
    as_json: bool,
) -> int:
    """Run other samplers on the likelihood of CONFIG, and say what each costs.

    With several, one after the other, and a table of ratios at the end.

    All run one after the other on the same compiled likelihood, with the same number of threads
    and the settings that their documentation gives. One that fails, is not installed or runs out
    of its budget is a row that says so.

    \b
    Columns:
      log-evidence  mean over runs ± the median of the errors that they report
      spread        standard deviation of the log-evidence over runs
      ESS           Kish's, of weighted draws; draws / autocorrelation time of emcee
      calls         evaluations of the likelihood; gradients beside them
      s             wall time of one run
      s to sd 0.1   wall time × max(1, (sd/0.1)²); sd is the larger of the spread
                    (of three runs or more) and of the reported error. A run that is
                    better than 0.1 gets no credit for a shorter one that nobody made
      ESS/s         effective draws per second of wall time
      distance      the largest over parameters of the 1-Wasserstein distance to the
                    marginals of nfanneal's draws (all runs that are to be trusted, but
                    the run itself), in posterior standard deviations

    Numbers without a sum are medians over runs. emcee gives no evidence: its draws do, by bridge
    sampling. Ends with exit code 5 if no run of nfanneal is to be trusted. Ctrl-C ends it with
    exit code 130; the runs that had ended are shown and written.

    `nfanneal bench engine` times the ODE solver instead.
    """
    peers = listed_words(against, PEERS, "--against")
    chosen = listed_words(schedules, SCHEDULES, "--schedules")
    ready = listed_words(presets, PRESETS, "--presets")
    if not peers and not chosen and not ready:
        raise click.UsageError("nothing to run")
    _refuse_files(output, figure, force)
    if seed is not None:
        overrides = (*overrides, f"seed={seed}")
    if figure is not None and len(configs) > 1:
        raise click.UsageError("--figure is of one CONFIG")
    set_threads(threads)
    how = _How(peers, chosen, ready, repeats, budget, workers, overrides)
    specs = [read_spec(config, overrides) for config in configs]  # what is wrong is told first
    benches: list[Bench] = []
    for config, checked in zip(configs, specs, strict=True):
        benches.append(_bench(config, checked, how))
        if not as_json:
            print_bench(benches[-1], console())
        if benches[-1].interrupted:
            break
    found = [bench_json(bench) for bench in benches]
    several = {"problems": found, "ratios": ratios_json(ratios(benches))}
    text = json.dumps(found[0] if len(configs) == 1 else several, indent=2, ensure_ascii=False)
    if output is not None:
        write_text(output, text + "\n")
        click.echo(f"written to {output}", err=True)
    if figure is not None:
        drawn = bench_figure(benches[0])
        with replaced(figure) as temporary:
            save(drawn, temporary, figure.suffix)
        click.echo(f"written to {figure}", err=True)
    if as_json:
        click.echo(text)
    elif len(benches) > 1:
        print_ratios(ratios(benches), console())
    if benches[-1].interrupted:
        click.echo("interrupted: the table holds the runs that had ended", err=True)
        return ExitCode.INTERRUPTED
    trusted = all(bench.trusted for bench in benches)
    return ExitCode.DONE if trusted else ExitCode.NOT_TRUSTED


@dataclass(frozen=True)
class _How:
    """What is the same for every problem."""

    peers: tuple[str, ...]
    schedules: tuple[str, ...]
    presets: tuple[str, ...]
    repeats: int
    budget: float
    workers: Workers | None
    overrides: tuple[str, ...]


def _bench(config: Path, checked: CheckedSpec, how: _How) -> Bench:
    """Everyone on one problem."""
    problem = build_problem(checked, workers=how.workers)
    cost = cost_that_decides(checked, problem)
    checked = by_cost(checked, cost, lambda text: click.echo(text, err=True))
    settings = build_settings(checked, problem)
    own = by_schedule(settings, how.schedules)
    for preset in how.presets:
        changed = read_spec(config, (*how.overrides, f"anneal.preset={preset}"))
        own[own_name(preset)] = build_settings(changed, problem)
    seeds = tuple(range(settings.seed, settings.seed + how.repeats))
    errors = console(stderr=True)
    return race(
        problem,
        Plan(own=own, peers=how.peers, seeds=seeds, budget=how.budget),
        spec_digest=run_identity(checked, problem).digest,
        observe=lambda run: errors.print(run_line(run), soft_wrap=True, highlight=False),
    )


def _refuse_files(output: Path | None, figure: Path | None, force: bool) -> None:
    """Before any work is done."""
    if figure is not None and figure.suffix.lower() not in FORMATS:
        raise click.UsageError(f"{figure}: figures are {', '.join(FORMATS)} files")
    if output is not None and output == figure:
        raise click.UsageError("-o and --figure are the same file")
    for path in (output, figure):
        if path is not None:
            refuse_existing(path, force)
