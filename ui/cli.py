"""The command line. Results on stdout (`--json` for machines), progress and logs on stderr.

    chatalogue serve
    chatalogue index films.csv.gz --show-mapping
    chatalogue chat
    chatalogue recommend "a quiet heist film from the seventies, nothing violent"

Only light imports here: `chatalogue --help` answers at once; each command imports what it needs.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from retrieval.errors import ChatalogueError

app = typer.Typer(
    help="Talk to a catalogue: a conversational recommender and customer-service bot.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="The settings in force.", no_args_is_help=True)
app.add_typer(config_app, name="config")
bench_app = typer.Typer(help="The benchmarks; each writes its section of one JSON file.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")
models_app = typer.Typer(help="The language model's weights.", no_args_is_help=True)
app.add_typer(models_app, name="models")

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file; default: chatalogue.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
BenchOutOption = Annotated[Path, typer.Option(help="Benchmark file; sections that are measured again are replaced.")]
FilmsOption = Annotated[Path | None, typer.Option(help="The open movie set; default: the demo shop alone.")]
WorkOption = Annotated[Path | None, typer.Option(help="Folder for data directories that are kept; default: none.")]
ColdOption = Annotated[int, typer.Option(min=0, help="Cold starts.")]
WarmOption = Annotated[int, typer.Option(min=0, help="Warm starts.")]


def main() -> NoReturn:
    """Entry point: an error that is meant for a person ends as one sentence and exit code 1."""
    foreign = foreign_package()
    if foreign and sys.argv[1:2] != ["doctor"]:  # which has a finding for it
        typer.secho(f"chatalogue: {foreign}", err=True, fg=typer.colors.RED)
        sys.exit(1)
    try:
        app()
    except ChatalogueError as error:
        typer.secho(f"chatalogue: {error}", err=True, fg=typer.colors.RED)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        typer.secho(
            f"chatalogue: the package {error.name!r} is missing; install with `pip install 'chatalogue[serve]'`.",
            err=True,
            fg=typer.colors.RED,
        )
        sys.exit(1)
    sys.exit(0)


def foreign_package() -> str:
    """A sentence when another distribution's `agent` or `retrieval` hides ours, else ""; imports neither."""
    here = Path(__file__).resolve().parent.parent
    for name in ("agent", "retrieval"):
        spec = find_spec(name)
        found = spec.origin if spec is not None else None
        if found is None or Path(found).resolve() != here / name / "__init__.py":
            return f"Another package named {name!r} ({found}) hides ours; use an environment of its own."
    return ""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address; other than loopback needs an API key.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; default 7860.")] = None,
    config: ConfigOption = None,
) -> None:
    """Serve the page and the chat API."""
    from agent.settings import load_settings
    from ui.serve import serve as run

    settings = load_settings(config).settings
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    run(settings.model_copy(update={"server": settings.server.model_copy(update=changes)}))


@app.command()
def index(
    file: Annotated[Path, typer.Argument(help="JSON lines, CSV or Parquet, also gzipped.")],
    mapping: Annotated[Path | None, typer.Option(help="TOML file that maps columns to fields.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the file when a row is bad.")] = False,
    articles: Annotated[Path | None, typer.Option(help="Folder of help articles (Markdown).")] = None,
    keep_first: Annotated[bool, typer.Option("--keep-first", help="Of rows with one id keep the first.")] = False,
    show_mapping: Annotated[bool, typer.Option("--show-mapping", help="Print the mapping and stop.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Replace the catalogue; a running server moves over by itself."""
    from ui.commands.index import IndexCall, run

    run(IndexCall(file, mapping, strict, keep_first, articles, show_mapping, as_json, config))


@app.command()
def chat(config: ConfigOption = None) -> None:
    """Talk in the terminal."""
    from ui.commands.chat import run

    run(config)


@app.command()
def recommend(
    text: Annotated[str, typer.Argument(help="What you are looking for, in your own words.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Recommend items for one sentence, without exploration and without the language model."""
    from ui.commands.recommend import run

    run(text, as_json, config)


@app.command()
def replay(
    turn: Annotated[str | None, typer.Argument(help="Turn id.")] = None,
    since: Annotated[str | None, typer.Option(help="All turns of the last 7d, 12h or 30m.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Run stored turns again and compare what they offer."""
    from ui.commands.replay import run

    run(turn, since, as_json, config)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="New or empty folder.")],
    config: ConfigOption = None,
) -> None:
    """Copy the data directory consistently, also while the server runs."""
    from ui.commands.backup import run

    run(folder, config)


@app.command()
def doctor(
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Find what would go wrong before a customer does."""
    from ui.commands.doctor import run

    run(as_json, config)


@config_app.command("show")
def config_show(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Print each setting with its value and origin; secrets are masked."""
    from ui.commands.config import run

    run(as_json, config)


@models_app.command("fetch")
def models_fetch(
    link: Annotated[str | None, typer.Option(help="Name of a link to it, in the data directory's `models`.")] = None,
    config: ConfigOption = None,
) -> None:
    """Put the model of the settings into the data directory and print its folder."""
    from ui.commands.models import run_fetch

    run_fetch(link, config)


@bench_app.command("all")
def bench_all(
    out: BenchOutOption = Path("bench.json"),
    films: FilmsOption = None,
    cold: ColdOption = 2,
    warm: WarmOption = 3,
    work: WorkOption = None,
    config: ConfigOption = None,
) -> None:
    """Measure everything, one section after the other."""
    from ui.commands.bench import BenchCall, run_all

    run_all(BenchCall(out, films, work, config, cold, warm))


@bench_app.command("start")
def bench_start(
    out: BenchOutOption = Path("bench.json"),
    cold: ColdOption = 2,
    warm: WarmOption = 3,
    work: WorkOption = None,
    config: ConfigOption = None,
) -> None:
    """Start and stop the server, from an empty data directory and again."""
    from ui.commands.bench import START, BenchCall, run

    run(BenchCall(out, None, work, config, cold, warm), START)


@bench_app.command("index")
def bench_index(
    out: BenchOutOption = Path("bench.json"),
    films: FilmsOption = None,
    work: WorkOption = None,
    config: ConfigOption = None,
) -> None:
    """Time and memory of indexing, and times of queries."""
    from ui.commands.bench import INDEX, BenchCall, run

    run(BenchCall(out, films, work, config), INDEX)


@bench_app.command("turns")
def bench_turns(out: BenchOutOption = Path("bench.json"), work: WorkOption = None, config: ConfigOption = None) -> None:
    """Time single turns on the demo shop, with the language model and without."""
    from ui.commands.bench import TURNS, BenchCall, run

    run(BenchCall(out, None, work, config), TURNS)


@bench_app.command("engines")
def bench_engines(
    out: BenchOutOption = Path("bench.json"), work: WorkOption = None, config: ConfigOption = None
) -> None:
    """First token, tokens and whole turns of the embedded engine and of vLLM with 1 to 16 chats at once."""
    from ui.commands.bench import ENGINES, BenchCall, run

    run(BenchCall(out, work=work, config=config), ENGINES)


@bench_app.command("ci")
def bench_ci(
    times: Annotated[Path, typer.Argument(help="File that `.ci/run` wrote.")] = Path(".ci/times.tsv"),
    out: BenchOutOption = Path("bench.json"),
) -> None:
    """Take over how long the last `.ci/run` took, part by part."""
    from ui.commands.bench import run_ci

    run_ci(times, out)


@bench_app.command("understand")
def bench_understand(
    out: BenchOutOption = Path("bench.json"), work: WorkOption = None, config: ConfigOption = None
) -> None:
    """Facts read out of labelled messages: rules, model, both; the verdict of agent/skills.toml rests on it."""
    from ui.commands.bench import UNDERSTAND, BenchCall, run

    run(BenchCall(out, work=work, config=config), UNDERSTAND)


@bench_app.command("talk")
def bench_talk(
    out: BenchOutOption = Path("bench.json"),
    films: FilmsOption = None,
    work: WorkOption = None,
    config: ConfigOption = None,
) -> None:
    """Hold the scripted conversations and write down what comes out."""
    from ui.commands.bench import TALK, BenchCall, run

    run(BenchCall(out, films, work, config), TALK)


@bench_app.command("render")
def bench_render(
    file: Annotated[Path, typer.Argument(help="Benchmark file.")] = Path("bench.json"),
    to: Annotated[Path, typer.Option(help="Page to write.")] = Path("BENCHMARKS.md"),
) -> None:
    """Write BENCHMARKS.md from the benchmark file."""
    from ui.commands.bench import run_render

    run_render(file, to)
