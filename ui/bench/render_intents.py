"""The section of `chatalogue bench intents`, one for each set. Knows nothing of how the figures came about."""

from __future__ import annotations

from pydantic import JsonValue

from agent.bench.intent_folds import IntentFolds
from agent.bench.intents import IntentReport
from agent.bench.personal import Mean
from ui.bench.render_talk import table

SECTION = "intents"
FOLDS = "intent_folds"
TITLE = "Intents of the help desk"


def intents_title(name: str) -> str:
    """The heading of a section "intents,NAME"."""
    return f"{TITLE}: {name.partition(',')[2]}"


def folds_title(name: str) -> str:
    """The heading of a section "intent_folds,NAME"."""
    return f"{TITLE}, all examples told: {name.partition(',')[2]}"


def folds_lines(result: JsonValue) -> list[str]:
    """The figures of one set beside those of TF-IDF with a linear SVM."""
    report = IntentFolds.model_validate(result)
    rows = [
        ("accuracy", _shown(report.accuracy), _shown(report.svm), _shown(report.gain)),
        ("accuracy, every intent counts alike", _shown(report.even), _shown(report.svm_even), ""),
    ]
    return [
        f"{report.intents} intents, {len(report.parts)} times learned from {report.learned} examples, and the others "
        f"told: {report.told} answers. Accuracy from {min(report.parts):.4f} to {max(report.parts):.4f}. In brackets "
        "95 % bootstrap intervals over examples.",
        "",
        *table(("", "the product", "TF-IDF + linear SVM", "difference, paired"), rows),
    ]


def intents_lines(result: JsonValue) -> list[str]:
    """The figures of one set with their intervals."""
    report = IntentReport.model_validate(result)
    scores = report.scores
    rows = [
        ("accuracy", _shown(scores.accuracy), str(scores.labelled)),
        ("of messages of an intent", _shown(scores.inside), str(scores.n_inside)),
        ("of messages outside all intents, called so", _shown(scores.outside), str(scores.n_outside)),
        ("expected calibration error of the scores", _shown(scores.ece), str(scores.labelled)),
    ]
    return [
        f"{report.intents} intents learned from {report.train} examples in {report.train_seconds:.0f} s; one message "
        f"is read in {report.p50_ms:.1f} ms at the median, {report.p95_ms:.1f} ms at the 95th percentile, without a "
        "language model. In brackets 95 % bootstrap intervals.",
        "",
        *table(("", "", "n"), [row for row in rows if row[1]]),
    ]


def _shown(mean: Mean | None) -> str:
    return "" if mean is None else f"{mean.value:.4f} [{mean.low:.4f}, {mean.high:.4f}]"
