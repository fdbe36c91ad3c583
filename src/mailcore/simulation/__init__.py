"""Delivery in virtual time through a made-up internet, by the very decisions that deliver real mail.

One seed gives one run: no clock, no network and no waiting. `CATALOGUE` has the scenarios, `CONTESTANTS` who is
compared in them, `played` the figures of one of them in one of those over many seeds.
"""

from mailcore.simulation.catalogue import CATALOGUE, PAIR
from mailcore.simulation.contest import CONTESTANTS, SEEDS, Match, all_played, matches, played, rules_of
from mailcore.simulation.delivery import delivered
from mailcore.simulation.figures import Figures, averaged, figures_of
from mailcore.simulation.internet import MadeUp, Spell
from mailcore.simulation.scenario import Scenario, Stream, Watch

__all__ = [
    "CATALOGUE",
    "CONTESTANTS",
    "PAIR",
    "SEEDS",
    "Figures",
    "MadeUp",
    "Match",
    "Scenario",
    "Spell",
    "Stream",
    "Watch",
    "all_played",
    "averaged",
    "delivered",
    "figures_of",
    "matches",
    "played",
    "rules_of",
]
