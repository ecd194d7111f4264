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
from ui.cli_bench_learning import bench_app
from ui.cli_feedback import feedback_app
from ui.cli_keys import keys_app, webhooks_app
from ui.cli_options import ConfigOption, JsonOption

app = typer.Typer(
    help="Talk to a catalogue: a conversational recommender and customer-service bot.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="The settings in force.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(bench_app, name="bench")
app.add_typer(feedback_app, name="feedback")
models_app = typer.Typer(help="The language model's weights.", no_args_is_help=True)
app.add_typer(models_app, name="models")
import_app = typer.Typer(help="What was there before the chat.", no_args_is_help=True)
app.add_typer(import_app, name="import")
rankers_app = typer.Typer(help="Learned rankers.", no_args_is_help=True)
app.add_typer(rankers_app, name="rankers")
adapters_app = typer.Typer(help="The language model's adapters.", no_args_is_help=True)
app.add_typer(adapters_app, name="adapters")
privacy_app = typer.Typer(help="What is kept of customers.", no_args_is_help=True)
app.add_typer(privacy_app, name="privacy")
app.add_typer(keys_app, name="keys")
app.add_typer(webhooks_app, name="webhooks")


@privacy_app.command("sweep")
def privacy_sweep(
    days: Annotated[int | None, typer.Option(min=1, help="Instead of privacy.retention_days.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Forget the words of conversations, events and people that are older than the settings allow."""
    from ui.commands.privacy import run_sweep

    run_sweep(days, dry_run=dry_run, as_json=as_json, config=config)


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
    run(settings.model_copy(update={"server": settings.server.model_copy(update=changes)}), config)


@app.command()
def index(
    file: Annotated[Path, typer.Argument(help="JSON lines, CSV or Parquet, also gzipped.")],
    mapping: Annotated[Path | None, typer.Option(help="TOML file that maps columns to fields.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the file when a row is bad.")] = False,
    articles: Annotated[Path | None, typer.Option(help="Folder of help articles (Markdown, HTML, CSV, PDF).")] = None,
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
def mcp(config: ConfigOption = None) -> None:
    """Offer search, recommendations and answers to another assistant on this machine (MCP over stdio)."""
    from ui.commands.mcp import run

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
def learn(
    every: Annotated[str | None, typer.Option(help="Again and again, so often: 24h, 7d, 30m; else once.")] = None,
    min_feedback: Annotated[
        int | None, typer.Option(min=1, help="Rows of new feedback that it takes to train an adapter.")
    ] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for scalars of the training.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge the ranker, count rows; change nothing.")] = False,
    parent: Annotated[int, typer.Option(hidden=True, help="Process whose end ends this one.")] = 0,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Learn from the event log: a ranker and an adapter, each judged before it serves; a stopped job goes on."""
    from ui.commands.learn import LearnCall, run

    run(LearnCall(dry_run, as_json, every, min_feedback, tensorboard, parent, config))


@app.command()
def starter(
    catalogue: Annotated[Path | None, typer.Option(help="Your catalogue, as for `index`; else the demo shop.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="TOML file that maps its columns to fields.")] = None,
    noun: Annotated[str, typer.Option(help="What customers call one thing of it.")] = "item",
    model: Annotated[
        str | None, typer.Option(help="The base, as CHATALOGUE_LLM__MODEL; default: the recipe's.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the adapter; default: in the data directory.")] = None,
    pretrain: Annotated[bool, typer.Option("--pretrain", help="Read the items' texts first.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Of training; default: the recipe's.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="TOML file; default: the one of the starter.")] = None,
    redial: Annotated[Path | None, typer.Option(help="ReDial's train turns (JSON lines), to learn from too.")] = None,
    redial_items: Annotated[Path | None, typer.Option(help="ReDial's items.")] = None,
    redial_likes: Annotated[Path | None, typer.Option(help="ReDial's likes.")] = None,
    config: ConfigOption = None,
) -> None:
    """Train the adapter that the language model starts with; the same command again goes on where it was stopped."""
    from ui.commands.starter import StarterCall, run

    files = (redial, redial_items, redial_likes)
    run(StarterCall(catalogue, mapping, noun, model, out, pretrain, minutes, recipe, files, config))


@app.command()
def gate(
    adapter: Annotated[str, typer.Argument(help="Its id, such as ada-000017, or its folder.")],
    champion: Annotated[
        str | None, typer.Option(help="Id or folder that it is held against, or none; default: what serves.")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(help="From `feedback export`, newer than its training; without it cannot pass.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="TOML file of thresholds; default: the product's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for gate.json and gate.md.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Hold an adapter against the champion, rule by rule; exit code 1 where it is refused. Changes nothing."""
    from ui.commands.gate import GateCall, run

    run(GateCall(adapter, champion, rows, rules, out, as_json, config))


@app.command()
def replay(
    turn: Annotated[str | None, typer.Argument(help="Turn id.")] = None,
    since: Annotated[str | None, typer.Option(help="All turns of the last 7d, 12h or 30m.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Id of the adapter that answers; default: as now.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Run stored turns again and compare what they offer."""
    from ui.commands.replay import run

    run(turn, since, adapter, as_json, config)


@app.command()
def offpolicy(
    since: Annotated[str, typer.Option(help="Turns of the last 30d, 12h or 30m: newer than what is judged.")] = "30d",
    places: Annotated[int, typer.Option(min=1, max=20, help="Of each list, from the top.")] = 1,
    exploration: Annotated[
        float | None, typer.Option(min=0, help="Temperature of the candidate; default: as each list was shown.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What the ranking that is live now would have earned on the lists that were shown under chance."""
    from ui.commands.offpolicy import OffPolicyCall, run

    run(OffPolicyCall(since, places, exploration, as_json, config))


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="New or empty folder.")],
    config: ConfigOption = None,
) -> None:
    """Copy the data directory consistently, also while the server runs."""
    from ui.commands.backup import run

    run(folder, config)


@app.command()
def describe(
    out: Annotated[Path, typer.Option(help="FILE.jsonl, further files come beside it; a folder for --train-writer.")],
    items: Annotated[Path | None, typer.Option(help="A catalogue, as for `index`.")] = None,
    reviews: Annotated[Path | None, typer.Option(help='JSON lines of {"id", "text"}: what customers wrote.')] = None,
    queries: Annotated[Path | None, typer.Option(help="Training turns by which texts are chosen.")] = None,
    train_writer: Annotated[Path | None, typer.Option(help="Pairs of an earlier round: tune the writer.")] = None,
    model: Annotated[str | None, typer.Option(help="The writer; default: the model of the settings.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of the tuned writer.")] = None,
    n_best: Annotated[int, typer.Option(min=1, max=16, help="Drafts for each item.")] = 4,
    limit: Annotated[int, typer.Option(min=0, help="So many items, those with queries first; 0: all.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Of --train-writer.")] = 40,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Begin nothing more after so many.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Have the language model describe items; a text is kept where it is backed and adds retrieval gain."""
    from ui.commands.describe import DescribeCall, run

    call = DescribeCall(
        out, items, reviews, queries, train_writer, model, adapter, n_best, limit, steps, minutes, as_json, config
    )
    run(call)


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


@rankers_app.command("list")
def rankers_list(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Print the rankers on disk and which one is live."""
    from ui.commands.learn import run_list

    run_list(as_json, config)


@rankers_app.command("rollback")
def rankers_rollback(config: ConfigOption = None) -> None:
    """Go back to the ranker before the live one; the one built in comes before the first."""
    from ui.commands.learn import run_rollback

    run_rollback(config)


@adapters_app.command("list")
def adapters_list(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Print the adapters, which one is the champion, and how a canary fares."""
    from ui.commands.adapters import run_list

    run_list(as_json, config)


@adapters_app.command("show")
def adapters_show(
    adapter: Annotated[str, typer.Argument(help="Its id, such as ada-000017.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print parent, data, users counted, commit, metrics, and what is left of erased users."""
    from ui.commands.adapters import run_show

    run_show(adapter, as_json, config)


@adapters_app.command("diff")
def adapters_diff(
    first: Annotated[str, typer.Argument(help="Its id.")],
    second: Annotated[str, typer.Argument(help="Its id.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print in what two adapters differ."""
    from ui.commands.adapters import run_diff

    run_diff(first, second, as_json, config)


@adapters_app.command("promote")
def adapters_promote(
    adapter: Annotated[str, typer.Argument(help="Its id.")],
    canary: Annotated[
        float | None, typer.Option(help="On trial, for this share of the conversations: 0.2. Default: champion.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept with the change.")] = "",
    config: ConfigOption = None,
) -> None:
    """Make an adapter the champion, or put it on trial; a running server takes it over within seconds."""
    from ui.commands.adapters import run_promote

    run_promote(adapter, canary, reason, config)


@adapters_app.command("rollback")
def adapters_rollback(
    reason: Annotated[str, typer.Option(help="Kept with the change.")] = "",
    config: ConfigOption = None,
) -> None:
    """Take back the last promotion: of the canary where one is on trial, else of the champion."""
    from ui.commands.adapters import run_rollback

    run_rollback(reason, config)


@adapters_app.command("prune")
def adapters_prune(
    keep: Annotated[int, typer.Option(min=0, help="The newest that stay, besides those in use.")] = 10,
    config: ConfigOption = None,
) -> None:
    """Delete old adapters; the champion, its parent and what a rollback needs stay."""
    from ui.commands.adapters import run_prune

    run_prune(keep, config)


@import_app.command("interactions")
def import_interactions(
    file: Annotated[
        Path, typer.Argument(help="JSON lines, CSV or Parquet, also gzipped: who did what with which item.")
    ],
    mapping: Annotated[Path | None, typer.Option(help="TOML file that names columns and kinds.")] = None,
    team: Annotated[str, typer.Option(help="Whose customers they are, where several teams have keys.")] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Store views, clicks, purchases, ratings and likes; what is there already is not stored twice."""
    from ui.commands.importing import ImportCall, run

    run(ImportCall(file, mapping, as_json, config, team))


@import_app.command("intents")
def import_intents(
    file: Annotated[Path, typer.Argument(help="intents.toml, or JSON lines: text, intent (outside: of none).")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Learn what messages to the help desk are for from examples; a running server takes it over within seconds."""
    from ui.commands.importing_intents import run

    run(file, as_json, config)


@import_app.command("articles")
def import_articles(
    folder: Annotated[
        Path, typer.Argument(help="Markdown, HTML, CSV (question, answer) and PDF files, in folders too.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, write nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make the articles of a folder the help desk's, in place of those before; a running server takes them over."""
    from ui.commands.importing_articles import run

    run(folder, dry_run, as_json, config)


@import_app.command("tickets")
def import_tickets(
    file: Annotated[Path, typer.Argument(help="JSON lines, CSV or Parquet: question, answer, and what else is known.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file, write nothing.")] = False,
    team: Annotated[str, typer.Option(help="Whose customers they are, where several teams have keys.")] = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Store past tickets, personal data replaced, so that the best answers are learned from; each is stored once."""
    from ui.commands.importing_tickets import run

    run(file, dry_run, as_json, config, team)
