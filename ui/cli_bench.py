"""`chatalogue bench ...`: the benchmarks' part of the command line.

    chatalogue bench retrieval --items items.jsonl.gz --train train.jsonl.gz --test test.jsonl.gz --out lists.jsonl
    chatalogue bench compare --test test.jsonl.gz lists.jsonl other.jsonl
    chatalogue bench all --films movies.jsonl.gz

Only light imports here: each command imports what it needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ui.cli_options import ConfigOption, JsonOption

bench_app = typer.Typer(help="The benchmarks; each writes its section of one JSON file.", no_args_is_help=True)

BenchOutOption = Annotated[Path, typer.Option(help="Benchmark file; sections that are measured again are replaced.")]
FilmsOption = Annotated[Path | None, typer.Option(help="The open movie set; default: the demo shop alone.")]
WorkOption = Annotated[Path | None, typer.Option(help="Folder for data directories that are kept; default: none.")]
ColdOption = Annotated[int, typer.Option(min=0, help="Cold starts.")]
WarmOption = Annotated[int, typer.Option(min=0, help="Warm starts.")]
ItemsOption = Annotated[Path, typer.Option(help="Items: id, title, year, text, attributes.")]
TestOption = Annotated[Path, typer.Option(help="Rows to rank: id, turns, mentioned; targets only to score.")]
TrainOption = Annotated[Path | None, typer.Option(help="Rows to learn from; without them nothing is learned.")]
ValidOption = Annotated[Path | None, typer.Option(help="Rows to choose by.")]
LikesOption = Annotated[Path | None, typer.Option(help="Likes of the train dialogues' speakers.")]
RatingsOption = Annotated[Path | None, typer.Option(help="A MovieLens folder, joined by title and year.")]
AdapterOption = Annotated[Path | None, typer.Option(help="Folder of `python -m finetune`; default: untuned.")]
NameOption = Annotated[str | None, typer.Option(help="The set's name in the benchmark file; default: its folder's.")]


@bench_app.command("retrieval")
def bench_retrieval(
    items: ItemsOption,
    test: TestOption,
    out: Annotated[Path, typer.Option(help="Lists to write: id, ranked, ms; complete or absent.")],
    train: TrainOption = None,
    valid: ValidOption = None,
    likes: LikesOption = None,
    ratings: RatingsOption = None,
    llm: Annotated[Literal["off", "on"], typer.Option(help="Whether the language model ranks, too.")] = "off",
    llm_adapter: AdapterOption = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave a part out; may be given again.")] = None,
    provider: Annotated[str | None, typer.Option(help="Attribute by which exposure is counted: director.")] = None,
    report: Annotated[Path | None, typer.Option(help="Benchmark file that takes the figures, too.")] = None,
    name: NameOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Train on dialogues, rank the items for each test row, and score the lists where the targets are told."""
    from agent.bench.retrieval.run import Files
    from ui.commands.bench_retrieval import RetrievalCall, run_retrieval

    files = Files(items, test, train, valid, likes, ratings)
    parts = frozenset(without or ())
    run_retrieval(RetrievalCall(files, out, llm == "on", llm_adapter, parts, provider, report, name, as_json, config))


@bench_app.command("compare")
def bench_compare(
    test: TestOption,
    first: Annotated[Path, typer.Argument(help="Lists that `bench retrieval` wrote.")],
    second: Annotated[Path, typer.Argument(help="Other lists for the same rows.")],
    as_json: JsonOption = False,
) -> None:
    """By how much the second file's lists are better than the first's, with intervals."""
    from ui.commands.bench_retrieval import run_compare

    run_compare(test, first, second, as_json)


@bench_app.command("ablation")
def bench_ablation(
    items: ItemsOption,
    test: TestOption,
    train: TrainOption = None,
    valid: ValidOption = None,
    likes: LikesOption = None,
    ratings: RatingsOption = None,
    out: BenchOutOption = Path("bench.json"),
    part: Annotated[list[str] | None, typer.Option(help="Only this part; may be given again.")] = None,
    also: Annotated[
        list[str] | None, typer.Option(help="NAME=FILE: lists of a system with one part more; may be given again.")
    ] = None,
    lists: Annotated[
        Path | None, typer.Option(help="Folder that keeps each system's lists: what is in it is not made again.")
    ] = None,
    name: NameOption = None,
    config: ConfigOption = None,
) -> None:
    """What each part of the ranking is worth: the full system against one without it.

    Each row stands in the benchmark file as soon as it is known. A run that was stopped goes on where it was when it
    is given the same folder by --lists. Rows of --part join those of the same full system.
    """
    from agent.bench.retrieval.run import Files
    from ui.commands.bench_retrieval import AblationCall, run_ablation

    files = Files(items, test, train, valid, likes, ratings)
    run_ablation(AblationCall(files, out, tuple(part or ()), tuple(also or ()), lists, name, config))


@bench_app.command("rank-skill")
def bench_rank_skill(
    items: ItemsOption,
    rows: Annotated[Path, typer.Option(help="Rows with targets that nothing was learned from: a valid file.")],
    lists: Annotated[Path, typer.Option(help="Their lists, by `bench retrieval`.")],
    adapter: AdapterOption = None,
    way: Annotated[
        list[str] | None, typer.Option(help="Only this way to ask: labels, titles, verdicts; may be given again.")
    ] = None,
    n: Annotated[int, typer.Option(min=2, max=50, help="Items of a list that the model is asked about.")] = 20,
    limit: Annotated[int, typer.Option(min=0, help="Only so many rows, evenly taken; 0: all.")] = 0,
    out: BenchOutOption = Path("bench.json"),
    name: NameOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What the language model adds to a ranker's lists: three ways to ask, with time and verdict."""
    from ui.commands.bench_rank import RankCall, known_ways, run_rank_skill

    ways = known_ways(way or ())
    run_rank_skill(RankCall(items, rows, lists, out, adapter, ways, n, limit, name, as_json, config))


@bench_app.command("ratings")
def bench_ratings(
    ratings: Annotated[Path, typer.Option(help="A MovieLens folder.")],
    items: Annotated[Path | None, typer.Option(help="Items with texts, joined by title and year.")] = None,
    out: BenchOutOption = Path("bench.json"),
    config: ConfigOption = None,
) -> None:
    """Rating prediction: RMSE by cross-validation, and for users with few ratings."""
    from agent.settings import load_settings
    from ui.commands.bench_others import ratings_of, run_other

    run_other(ratings_of(ratings, items, load_settings(config).settings.retrieval), out)


@bench_app.command("personal")
def bench_personal(out: BenchOutOption = Path("bench.json")) -> None:
    """Simulated customers with hidden tastes: regret with learning in the conversation and without."""
    from ui.commands.bench_others import personal, run_other

    run_other(personal(), out)


@bench_app.command("speed")
def bench_speed(out: BenchOutOption = Path("bench.json"), config: ConfigOption = None) -> None:
    """The default language model by transformers, by our kernel and by llama.cpp (package xllamacpp), side by side."""
    from agent.datadir import DataDirectory
    from agent.settings import load_settings
    from ui.commands.bench_others import run_other, speed_of

    run_other(speed_of(DataDirectory(load_settings(config).settings.data_dir).models), out)


@bench_app.command("switch")
def bench_switch(
    rounds: Annotated[int, typer.Option(min=3, help="Changes; figures are medians.")] = 5,
    out: BenchOutOption = Path("bench.json"),
    config: ConfigOption = None,
) -> None:
    """What chats notice when vLLM changes its adapter; how it does is CHATALOGUE_LLM__VLLM__ADAPTERS."""
    from agent.settings import load_settings
    from ui.commands.bench_others import run_other, switch_of

    run_other(switch_of(load_settings(config).settings, rounds), out)


@bench_app.command("dialogue")
def bench_dialogue(
    items: Annotated[Path | None, typer.Option(help="The bot's catalogue; default: the demo shop.")] = None,
    n: Annotated[int, typer.Option(min=1, help="Needs, drawn from the catalogue.")] = 100,
    k: Annotated[int, typer.Option(min=1, help="Conversations about each need, in other words each time.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of needs and words.")] = 0,
    cells: Annotated[
        str, typer.Option(help="rules, base, adapter, vllm, with commas; default: rules, with --url none.")
    ] = "",
    full_text: Annotated[
        int, typer.Option(min=0, help="Needs pursued once more with replies by the model; the others are templates.")
    ] = 30,
    adapter: Annotated[
        Path | None, typer.Option(help="Folder for the cell adapter; default: the adapter of the settings.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Any bot's address, up to /v1 (key: OPENAI_API_KEY), measured after the cells.")
    ] = None,
    customer: Annotated[
        Literal["templates", "llm"], typer.Option(help="Whose words the customers use; llm is checked by code.")
    ] = "templates",
    keep: Annotated[
        Path | None, typer.Option(help="File of conversations (JSON lines): what is in it is not held again.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the section; default: the catalogue's.")] = None,
    out: BenchOutOption = Path("bench.json"),
    config: ConfigOption = None,
) -> None:
    """Simulated customers with needs: success by turn, broken wishes, false claims, repeated questions; bot by bot.

    A run that was stopped goes on where it was when it is given the same file by --keep; delete that file when the
    code has changed.
    """
    from ui.commands.bench_dialogue import DialogueCall, run_dialogue

    call = DialogueCall(out, items, n, k, seed, cells, full_text, adapter, url, customer, keep, name, config)
    run_dialogue(call)


@bench_app.command("scale")
def bench_scale(
    films: Annotated[Path, typer.Option(help="The catalogue that is repeated.")],
    work: Annotated[Path, typer.Option(help="Folder for the indexes, which are kept.")],
    size: Annotated[list[int] | None, typer.Option(min=1, help="Items; may be given again. Default: 1000000.")] = None,
    out: BenchOutOption = Path("bench.json"),
) -> None:
    """Times and memory of a query by the size of the catalogue."""
    from ui.commands.bench_others import run_other, scale_of

    run_other(scale_of(films, tuple(size or (1_000_000,)), work), out)


@bench_app.command("shift")
def bench_shift(
    out: BenchOutOption = Path("bench.json"),
    script: Annotated[Path | None, typer.Option(help="Another shift than that of the demo shop.")] = None,
    engine: Annotated[bool, typer.Option(help="With the language model.")] = True,
) -> None:
    """A support shift over HTTP: 20 conversations with the demo shop, each step with its expectations."""
    from ui.commands.bench_shift import ShiftCall, run_shift

    run_shift(ShiftCall(out, script, engine))


@bench_app.command("intents")
def bench_intents(
    train: Annotated[Path, typer.Option(help="Rows to learn from: text, intent.")],
    test: Annotated[Path, typer.Option(help="Rows to answer: text; intent only to score.")],
    out: Annotated[Path, typer.Option(help="Answers to write: intent, score; complete or absent.")],
    oos_label: Annotated[str | None, typer.Option(help="What messages outside all intents are called.")] = None,
    report: Annotated[Path | None, typer.Option(help="Benchmark file that takes the figures, too.")] = None,
    name: NameOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Learn the help desk's intents from examples and tell the intent of each test row."""
    from ui.commands.bench_intents import IntentsCall, run_intents

    run_intents(IntentsCall(train, test, out, oos_label, report, name, as_json, config))


@bench_app.command("intent-folds")
def bench_intent_folds(
    train: Annotated[Path, typer.Option(help="All rows: text, intent.")],
    folds: Annotated[int, typer.Option(min=2, help="Parts, each told by the others; with --each: draws.")] = 10,
    each: Annotated[
        int, typer.Option(min=0, help="Learn so many of each intent, tell the rest; 0: cross-validate.")
    ] = 0,
    out: BenchOutOption = Path("bench.json"),
    name: NameOption = None,
    config: ConfigOption = None,
) -> None:
    """How well intents are told apart where there is no test file, beside TF-IDF with a linear SVM."""
    from agent.settings import load_settings
    from ui.commands.bench_intents import folds_of
    from ui.commands.bench_others import run_other

    run_other(folds_of(train, folds, each, name, load_settings(config).settings.retrieval), out)


@bench_app.command("all")
def bench_all(
    out: BenchOutOption = Path("bench.json"),
    films: FilmsOption = None,
    cold: ColdOption = 2,
    warm: WarmOption = 3,
    dialogues: Annotated[Path | None, typer.Option(help="A folder with one folder for each set of dialogues.")] = None,
    ratings: RatingsOption = None,
    work: WorkOption = None,
    config: ConfigOption = None,
) -> None:
    """Measure everything that takes minutes, one section after the other."""
    from ui.commands.bench import BenchCall, run_all

    run_all(BenchCall(out, films, work, config, cold, warm, dialogues, ratings))


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
    out: BenchOutOption = Path("bench.json"),
    n: Annotated[int, typer.Option(min=1, help="Messages of each set, at most.")] = 400,
    adapter: AdapterOption = None,
    redial: Annotated[Path | None, typer.Option(help="ReDial's valid file; train, items and likes beside it.")] = None,
    recquest: Annotated[Path | None, typer.Option(help="RecQuest's valid file; items beside it.")] = None,
    inspired: Annotated[Path | None, typer.Option(help="INSPIRED's dev.tsv.gz.")] = None,
    films: FilmsOption = None,
    fit: Annotated[Path | None, typer.Option(help="Write who wins, kind by kind, here; count it first.")] = None,
    config: ConfigOption = None,
) -> None:
    """Facts read out of messages by rules, model and both; the verdict of agent/skills.toml rests on it."""
    from ui.bench.understand_call import UnderstandCall
    from ui.commands.bench import UNDERSTAND, BenchCall, run

    call = UnderstandCall(n, adapter, redial, recquest, inspired, films, fit)
    run(BenchCall(out, config=config, understand=call), UNDERSTAND)


@bench_app.command("replies")
def bench_replies(
    out: BenchOutOption = Path("bench.json"),
    items: Annotated[Path | None, typer.Option(help="A catalogue; default: the demo shop.")] = None,
    adapter: AdapterOption = None,
    n: Annotated[int, typer.Option(min=1, help="Situations.")] = 100,
    seed: Annotated[int, typer.Option()] = 0,
    config: ConfigOption = None,
) -> None:
    """What is said of the first item, by code alone and by the model: what passes, what is told, how long, how soon."""
    from ui.commands.bench_replies import RepliesCall, run_replies

    run_replies(RepliesCall(out, items, adapter, n, seed, config))


@bench_app.command("injections")
def bench_injections(
    out: BenchOutOption = Path("bench.json"),
    engine: Annotated[Literal["off", "embedded"], typer.Option(help="Whether the language model writes, too.")] = "off",
    limit: Annotated[int, typer.Option(min=0, help="Only so many cases, evenly taken; 0: all.")] = 0,
    config: ConfigOption = None,
) -> None:
    """Hostile words in messages, items and articles: what is leaked, done, linked to or obeyed. Fails where any is."""
    from ui.commands.bench_injections import InjectionCall, run_injections

    run_injections(InjectionCall(out, engine, limit, config))


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
