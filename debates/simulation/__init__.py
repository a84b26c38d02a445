"""Panels of agents whose quality is known: what the engine's mathematics makes of them, thousands of debates at a time.

panels.py    SimulatedAgent, Panel: what they are like
minds.py     what an agent thinks at first and after it has heard the others
course.py    one debate, from thoughts to consensus.evaluate, without a database
forecasts.py many debates, counted
reports.py   the same for people; plots.py draws
client.py    the same agents behind the interface of agents.ollama.Client, for whole debates through the engine
"""

from debates.simulation.course import Played, play
from debates.simulation.forecasts import Forecast, expect
from debates.simulation.panels import BadPanel, Panel, SimulatedAgent

__all__ = ["BadPanel", "Forecast", "Panel", "Played", "SimulatedAgent", "expect", "play"]
