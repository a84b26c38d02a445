"""What the panels of a demonstration are asked, and what there is to say for each answer."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False, slots=True)
class Question:
    """`grounds`: four for each option; `doubt`: what would change a mind."""

    text: str
    options: dict[str, str]
    grounds: dict[str, tuple[str, str, str, str]]
    doubt: str


def _question(text: str, *, doubt: str, **answers: Any) -> Question:
    """`A=("Yes", four grounds)`, …"""
    options = {id: answer[0] for id, answer in answers.items()}
    return Question(text, options, {id: answer[1] for id, answer in answers.items()}, doubt)


QUESTIONS = (
    _question(
        "Should the team write a design before it writes code?",
        doubt="Changes that had a design came back from review as often as those that had none.",
        A=(
            "Yes, a page for each change of more than a day",
            (
                "A page is read in ten minutes, and a wrong turn costs days.",
                "Who joins later finds out why it was built that way.",
                "Reviewers object to an idea more readily than to finished code.",
                "Most of last year's rework went back to a misread requirement.",
            ),
        ),
        B=(
            "Only where two teams meet",
            (
                "Within one team people talk, and a page would only repeat it.",
                "What breaks is the boundary between teams, not what lies behind it.",
                "A rule for everything is followed for nothing.",
                "The page for a boundary doubles as its contract.",
            ),
        ),
        C=(
            "No, a prototype tells more",
            (
                "A design is guessed; a prototype has met the data.",
                "Prototypes took two days on average, designs three.",
                "What is written ahead is out of date when the code is done.",
                "Code can be measured, prose can't.",
            ),
        ),
    ),
    _question(
        "Is a four-day week worth trying for one quarter?",
        doubt="Customers waited longer for answers in the weeks of a trial.",
        A=(
            "Yes, for everybody",
            (
                "A quarter is short enough to undo and long enough to see sick days change.",
                "Firms of our size that tried it kept it.",
                "If only some go home, those who stay answer for all.",
                "Hiring takes four months here; this is what applicants ask for.",
            ),
        ),
        B=(
            "Yes, team by team",
            (
                "Teams that stay as they are show what the change has done.",
                "Support can't close on Fridays, development can.",
                "What goes wrong in one team is mended before the next begins.",
                "Two volunteers are found sooner than two hundred.",
            ),
        ),
        C=(
            "No, not this year",
            (
                "The move of the data centre falls into every quarter that is left.",
                "Overtime rose in the last trial of shorter hours.",
                "Contracts name five days of service.",
                "Nobody has said what would count as a success.",
            ),
        ),
    ),
    _question(
        "Do we move the database to the new cluster this month?",
        doubt="A rehearsal took longer than the window of two hours.",
        A=(
            "Yes, on the last Sunday",
            (
                "The old disks passed their rated life in spring.",
                "Traffic on that Sunday is a tenth of a working day's.",
                "The rehearsal took 70 minutes of the two hours there are.",
                "Every month on the old cluster costs its licence again.",
            ),
        ),
        B=(
            "Replicate now, switch next month",
            (
                "A replica can be compared row by row before anybody depends on it.",
                "Going back takes a minute while both run.",
                "The people who know both clusters are back next month.",
                "Replication found two broken indexes in the rehearsal.",
            ),
        ),
        C=(
            "No, after the closing of the books",
            (
                "Accounts need the old reports, which name the old cluster.",
                "A failed move during closing can't be repeated.",
                "The old cluster has had no failure in two years.",
                "The auditors have asked for no changes until then.",
            ),
        ),
    ),
    _question(
        "Which supplier is the smaller risk for the sensors?",
        doubt="One of them lost its certificate.",
        A=(
            "The one nearby, at eight per cent more",
            (
                "Parts are here in a day, which halves the stock we hold.",
                "Two audits found nothing worth a remark.",
                "Eight per cent is less than one day of a standing line.",
                "Its prices are in our currency.",
            ),
        ),
        B=(
            "The large one abroad",
            (
                "It makes ten times as many, and a bad batch is noticed sooner.",
                "It has delivered late once in six years.",
                "Its price is fixed for two years.",
                "Its second plant stands by for the first.",
            ),
        ),
        C=(
            "Both, half and half",
            (
                "Neither of them can stop us alone.",
                "Quality is compared on every delivery.",
                "Splitting costs three per cent in discounts, a stop costs more.",
                "Drawings fit both already.",
            ),
        ),
    ),
    _question(
        "Should support answer at weekends?",
        doubt="Customers who wrote on a Saturday left no more often than others.",
        A=(
            "Yes, on a rota with time off",
            (
                "A fifth of all tickets arrive on Saturday and wait two days.",
                "Who waits two days writes a second time, which is counted as another ticket.",
                "The rota of the operators has worked for years.",
                "Large customers name it in every renewal.",
            ),
        ),
        B=(
            "Only for outages",
            (
                "Nine in ten of the weekend's tickets are questions that can wait.",
                "For outages somebody is awake already.",
                "Two people on call cost less than four at desks.",
                "An outage on Sunday was what last year's two losses were about.",
            ),
        ),
        C=(
            "No, better answers in the week",
            (
                "Most of what is asked at weekends stands in the manual.",
                "The team is too small for a rota without overtime.",
                "First answers in the week took nine hours; that is what surveys complain about.",
                "An answer by somebody tired is asked again on Monday.",
            ),
        ),
    ),
)
