"""The two commands. `lobby up` reads this too, so what they need is imported when they are called; what runs on Django,
once its settings can be read, which is when the engine is up."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.status import Status

from lobby.embedded.child import StartFailed
from lobby.embedded.supervisor import interrupted_by_signals
from lobby.trials.stack import engine

if TYPE_CHECKING:
    from debates.evaluation.arms import Plan
    from debates.evaluation.items import Item
    from debates.evaluation.results import Result
    from debates.simulation import Forecast

errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
WIDTH = 120  # where there is no terminal to ask
INTERRUPTED = 130


def evaluate(  # noqa: PLR0913, PLR0917 - the options of a command
    data: Annotated[
        Path | None, typer.Option(help="Questions as JSONL: id, question, options, answer.", show_default="its own")
    ] = None,
    model: Annotated[str, typer.Option(help="Of all seats; by default each agent's own.")] = "",
    agents: Annotated[int, typer.Option(help="Seats of the debate that have a vote.")] = 3,
    rounds: Annotated[int, typer.Option(help="Of the debate, the blind one included.")] = 2,
    rule: Annotated[str, typer.Option(help="Of the debate.")] = "three-quarters",
    limit: Annotated[int | None, typer.Option(help="So many questions, drawn by the seed.")] = None,
    host: Annotated[str, typer.Option(help="An Ollama; by default OLLAMA_HOST, else the embedded model.")] = "",
    seed: Annotated[int, typer.Option(help="Draws questions and single answers; models draw for themselves.")] = 1,
    speech_tokens: Annotated[int, typer.Option(help="The longest speech.")] = 300,
    challenge: Annotated[bool, typer.Option(help="Seat the Devil's Advocate and the Fact-Checker.")] = True,
    probe: Annotated[bool, typer.Option(help="Ask the vote's ballots for the letter in every order, too.")] = True,
    keep: Annotated[Path | None, typer.Option(help="A file that results are kept in, and gone on from.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the report as Markdown.")] = False,
) -> None:
    """Ask questions with known answers of a single sample, a vote and a debate at equal calls, and compare them."""
    items = chosen(data, limit=limit, seed=seed)
    results = kept(keep, items)
    with engine_or_exit(host=host) as (name, doing):
        from debates.evaluation.arms import Plan  # noqa: PLC0415

        plan = Plan(
            agents=agents,
            rounds=rounds,
            rule=rule,
            model=model,
            speech_tokens=speech_tokens,
            is_challenged=challenge,
            has_probes=probe,
            seed=seed,
        )
        models, failure = ask(plan, items, results=results, keep=keep, doing=doing)
    facts = {
        "questions": f"{len(results)} of {len(items)} asked" if len(results) < len(items) else str(len(items)),
        "asked of": ": ".join(filter(None, [name, ", ".join(models)])),
        "panel": plan.words,
    }
    if results:
        report(facts, results, markdown=markdown)
    if failure or not results:
        raise ended(failure or "No question was answered")


def simulate(  # noqa: PLR0913, PLR0917
    agents: Annotated[int, typer.Option(help="Seats, all alike.")] = 5,
    accuracy: Annotated[float, typer.Option(help="How often one is right alone.")] = 0.7,
    correlation: Annotated[
        float, typer.Option(help="Between their first answers: 0 independent, 1 all the same.")
    ] = 0.3,
    conformity: Annotated[float, typer.Option(help="How often a seat joins the majority without a reason.")] = 0.2,
    stubbornness: Annotated[float, typer.Option(help="How often it keeps its answer whatever it hears.")] = 0.0,
    insight: Annotated[float, typer.Option(help="How often it recognises the right answer when it hears it.")] = 0.0,
    overconfidence: Annotated[float, typer.Option(help="What it divides its doubt by; 1 is calibrated.")] = 1.0,
    failures: Annotated[float, typer.Option(help="Share of ballots that fail.")] = 0.0,
    options: Annotated[int, typer.Option(help="Of the question, one of them right.")] = 2,
    rounds: Annotated[int, typer.Option(help="The blind one included; a challenge comes on top.")] = 3,
    rule: Annotated[str, typer.Option(help="By which it is decided.")] = "three-quarters",
    challenge: Annotated[bool, typer.Option(help="Challenge a leader once.")] = True,
    debates: Annotated[int, typer.Option(help="How many are simulated.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same debates.")] = 1,
    svg: Annotated[Path | None, typer.Option(help="Draw the rounds into this file, too.")] = None,
) -> None:
    """What a panel of given quality can be expected to reach: simulated agents, and the engine's own mathematics."""
    from debates.simulation import BadPanel, Panel, expect  # noqa: PLC0415 - `lobby up` need not load it
    from debates.simulation.reports import as_group  # noqa: PLC0415

    try:
        panel = Panel.of(
            agents,
            correlation=correlation,
            options=options,
            accuracy=accuracy,
            conformity=conformity,
            stubbornness=stubbornness,
            insight=insight,
            overconfidence=overconfidence,
            failure_rate=failures,
        )
        with errors.status(f"Simulating {debates:,} debates"):
            found = expect(panel, rounds=rounds, rule=rule, debates=debates, seed=seed, is_challenged=challenge)
    except BadPanel as error:
        raise ended(str(error)) from None
    out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDTH)
    out.print(f"{debates:,} debates, rule {rule}, seed {seed}; {panel.words}\n")
    out.print(as_group(found))
    if svg:
        draw(found, path=svg, title=f"{agents} agents, {accuracy:.0%} right alone, {debates:,} debates")


def draw(found: "Forecast", *, path: Path, title: str) -> None:
    from debates.simulation.plots import svg as chart  # noqa: PLC0415

    try:
        path.write_text(chart(found.curve, title=title), encoding="utf-8")
    except OSError as error:
        raise ended(f"--svg: {path} can't be written: {error.strerror}") from None


def chosen(data: Path | None, *, limit: int | None, seed: int) -> list["Item"]:
    from debates.evaluation.items import SHIPPED, BadItems, choose, read_items  # noqa: PLC0415

    if limit is not None and limit < 1:
        raise ended("--limit: at least one question")
    try:
        return choose(read_items(data or SHIPPED), limit=limit, seed=seed)
    except BadItems as error:
        raise ended(str(error)) from None


def kept(path: Path | None, items: Sequence["Item"]) -> list["Result"]:
    """Of an earlier evaluation of these questions that was cut off."""
    from debates.evaluation.items import BadItems  # noqa: PLC0415
    from debates.evaluation.kept import read_kept  # noqa: PLC0415

    if path is None:
        return []
    try:
        return [result for result in read_kept(path) if result.item in items]
    except (BadItems, OSError) as error:
        raise ended(str(error)) from None


def ask(
    plan: "Plan",
    items: Sequence["Item"],
    *,
    results: list["Result"],
    keep: Path | None,
    doing: Callable[[str], None],
) -> tuple[list[str], str]:
    """Adds the results that are whole when it ends, is interrupted or cannot go on; gives the models that answered, and
    why it could not go on."""
    from debates.evaluation.arms import Arms, EvaluationFailed  # noqa: PLC0415
    from debates.evaluation.kept import keep as keep_result  # noqa: PLC0415

    known, failure = {result.item.id for result in results}, ""
    try:
        arms = Arms(plan)
    except EvaluationFailed as error:
        raise ended(str(error)) from None
    try:
        for item in (item for item in items if item.id not in known):
            doing(f"Question {len(results) + 1} of {len(items)}: {item.id}")
            if refusal := arms.ask(item, into=results):
                errors.print(f"{item.id} was refused: {refusal}", style="red")
            elif keep:
                keep_result(results[-1], path=keep)
    except KeyboardInterrupt:
        errors.print(f"Interrupted: the report is of {len(results)} questions")
        arms.stop()
    except EvaluationFailed as error:
        failure = str(error)
    doing("Settling")
    arms.settle()
    return arms.models, failure


def report(facts: dict[str, str], results: Sequence["Result"], *, markdown: bool) -> None:
    from debates.evaluation.report import as_group, as_markdown, sections  # noqa: PLC0415

    out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDTH)
    if markdown:
        print(
            "\n".join(f"- {name}: {value}" for name, value in facts.items()), as_markdown(sections(results)), sep="\n\n"
        )
        return
    for name, value in facts.items():
        out.print(f"{name:10} {value}")
    out.print(as_group(sections(results)))


@contextmanager
def engine_or_exit(*, host: str) -> Iterator[tuple[str, Callable[[str], None]]]:
    """What is asked, and where to say what is being done. Exits 1 with one line where it does not start."""
    status = errors.status("Starting")
    try:
        with interrupted_by_signals(), status, engine(host=host, doing=teller(status)) as name:
            yield name, teller(status)
    except StartFailed as error:
        raise ended(str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def teller(status: Status) -> Callable[[str], None]:
    """A line that moves on a terminal, lines one after another elsewhere."""
    return status.update if errors.is_terminal else lambda words: errors.print(words)


def ended(words: str) -> typer.Exit:
    """To raise: one line of what is wrong, and 1."""
    errors.print(words, style="bold red")
    return typer.Exit(1)
