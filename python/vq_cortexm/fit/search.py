"""The search of `fit`: the 8-bit network, its sensitivities and costs; then models within budgets.

Costs of single layers add up to a model's nearly, for what belongs to a layer may depend on
others (shared code above all). So every model is built and measured, and where it exceeds a budget
the choice is made again with as much less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from ..nary.types import LARGEST_LEVELS
from ..quantize.calibration_data import CalibrationData
from ..quantize.graph import FloatGraph
from ..quantize.quantize_graph import BoolArray, QuantizedGraph, Watch, quantize_graph
from ..transform.lower_to_tir import DEFAULT_OBJECTIVE, Objective
from ..transform.vq_config import VirtualQuantizeConfig
from .bench import Bench, plan_of, run_on_host
from .costs import measure_costs
from .integer_program import choose, choose_nearest, excess_share, total
from .model import FittedModel, HeldOut, Strategy, verify
from .problem import Budgets, Candidate, Choice, Costs, Plan
from .prune import fewest_groups, prune_masks, rank_groups, without_channels
from .sensitivity import loss_between, measure_sensitivity, tensors

_ATTEMPTS = 4
"""Choices for one set of budgets, each for as much less as the one before exceeded them."""


class Search:
    """Everything that is measured once, and the models found so far."""

    def __init__(
        self,
        graph: FloatGraph,
        data: CalibrationData,
        held_out: HeldOut,
        bench: Bench,
        levels: Sequence[int],
        watch: Watch,
    ) -> None:
        self.graph, self.data, self.held_out, self.bench = graph, data, held_out, bench
        self.watch = watch
        self.known: dict[Plan, FittedModel] = {}
        self.pruned_models: dict[int, FittedModel] = {}
        self.estimates: dict[int, dict[str, int]] = {}
        self.base = self._quantize(VirtualQuantizeConfig())
        self.plain = bench.build(self.base)
        plain = tuple(Candidate(n.name, LARGEST_LEVELS, "plain") for n in graph.products)
        self.plain_plan = plan_of(self.plain, Plan(plain, DEFAULT_OBJECTIVE))
        self.reference = run_on_host(self.plain, held_out.x)
        self.sensitivity = measure_sensitivity(
            self.base, data.x, levels, held_out.is_classifier, lambda n: watch(f"sensitivity: {n}")
        )
        self.costs = measure_costs(self.base, self.sensitivity, levels, bench, watch)
        self.groups, self.ranking = rank_groups(self.base, tensors(self.base, data.x))

    @cached_property
    def eight_bit(self) -> FittedModel:
        """The network before any choice."""
        return self._measured("8-bit", self.base, self.plain_plan, {})

    def nary(self, plan: Plan) -> FittedModel:
        """The network with a plan's levels, measured."""
        if plan not in self.known:
            self.watch(f"model {len(self.known) + 1}")
            quantized = self.base if plan.is_plain else self._quantize(plan.config)
            self.known[plan] = self._measured("n-ary", quantized, plan, {})
        return self.known[plan]

    def within(self, budgets: Budgets) -> FittedModel | None:
        """The n-ary model of least loss that holds the budgets, as measured."""
        aims = budgets
        for _ in range(_ATTEMPTS):
            plan = self._choose(aims)
            if plan is None:
                return None
            model = self.nary(plan)
            if not (over := budgets.excess(vars(model.figures))):
                return model
            aims = _lower(aims, over)
        return None

    def nearest(self, budgets: Budgets) -> FittedModel:
        """The n-ary model that exceeds the budgets least, by the costs."""
        return self.nary(self._nearest(budgets))

    @staticmethod
    def loss(model: FittedModel) -> float:
        """How far the result on the calibration data is from the float network's: the squared error
        as a share of the variance."""
        wanted, got = model.quantized.float_outputs[0], model.quantized.outputs[0]
        return loss_between(wanted, got, is_classifier=False)

    def sweep(self, points: int) -> list[FittedModel]:
        """The models of least loss for `points` budgets of flash, from the least that any takes to
        what 8 bits take."""
        smallest = self._nearest(Budgets(flash_bytes=1))
        least = self._total(smallest)["flash_bytes"]
        most = max(least, self.eight_bit.figures.flash_bytes)
        limits = np.linspace(least, most, points).astype(int).tolist()
        plans = [self._choose(Budgets(flash_bytes=limit)) or smallest for limit in limits]
        return list(dict.fromkeys(self.nary(plan) for plan in plans))

    def pruned(self, budgets: Budgets) -> FittedModel | None:
        """The 8-bit network with as few channels removed as hold the budgets, fitted anew; None
        where removing all that may go is not enough, or more of it never is."""
        aims = budgets
        for _ in range(_ATTEMPTS):
            count = fewest_groups(len(self.ranking), partial(self._fits, budgets=aims))
            if count is None:
                return None
            model = self._without_groups(count)
            if not (over := budgets.excess(vars(model.figures))):
                return model
            aims = _lower(aims, over)
        return None

    def _without_groups(self, count: int) -> FittedModel:
        if count not in self.pruned_models:
            self.watch(f"without {count} groups of channels")
            masks = prune_masks(self.groups, self.ranking, count)
            quantized = self._quantize(VirtualQuantizeConfig(), masks)
            removed = {name: int(mask.sum()) for name, mask in masks.items() if mask.any()}
            self.pruned_models[count] = self._measured(
                "pruned", quantized, self.plain_plan, removed
            )
        return self.pruned_models[count]

    def _fits(self, count: int, budgets: Budgets) -> bool:
        """Whether the network with `count` groups gone would hold the budgets, by an estimate: code
        as in the plain build, cycles by MACs."""
        if count not in self.estimates:
            masks = prune_masks(self.groups, self.ranking, count)
            compiled = self.bench.build(without_channels(self.base, masks))
            program, before = compiled.program, self.plain.program
            freed = sum(c.value.nbytes for c in before.constants)
            freed -= sum(c.value.nbytes for c in program.constants)
            plain = self.eight_bit.figures
            self.estimates[count] = {
                "flash_bytes": plain.flash_bytes - freed,
                "ram_bytes": plain.ram_bytes
                + compiled.plan.arena_bytes
                - self.plain.plan.arena_bytes,
                "cycles": (plain.cycles or 0) * program.macs // before.macs,
                "weight_bytes": sum(step.weight_bytes for step in program.steps),
            }
        return not budgets.excess(self.estimates[count])

    def _choose(self, budgets: Budgets) -> Plan | None:
        """The plan of least loss by the costs, of several the fastest."""
        plans = []
        for objective, costs in self.costs.items():
            choice = choose(self._losses(costs), costs, budgets)
            if choice is not None:
                plans.append(self._plan(choice, objective))
        return min(plans, key=self._rank, default=None)

    def _nearest(self, budgets: Budgets) -> Plan:
        found = {
            objective: choose_nearest(self._losses(costs), costs, budgets)
            for objective, costs in self.costs.items()
        }
        objective = min(found, key=lambda o: excess_share(self.costs[o], found[o], budgets))
        return self._plan(found[objective], objective)

    def _plan(self, choice: Choice, objective: Objective) -> Plan:
        """Layers in the network's order."""
        return Plan(tuple(choice[node.name] for node in self.graph.products), objective)

    def _rank(self, plan: Plan) -> tuple[float, int]:
        losses = self._losses(self.costs[plan.objective])
        return sum(losses[c] for c in plan.layers), self._total(plan)["cycles"]

    def _losses(self, costs: Costs) -> dict[Candidate, float]:
        return {c: self.sensitivity.losses[c.layer, c.levels] for c in costs.layers}

    def _total(self, plan: Plan) -> dict[str, int]:
        return total(self.costs[plan.objective], {c.layer: c for c in plan.layers})

    def _quantize(
        self, config: VirtualQuantizeConfig, pruned: Mapping[str, BoolArray] | None = None
    ) -> QuantizedGraph:
        return quantize_graph(self.graph, self.data.x, self.data.scale, config, pruned=pruned or {})

    def _measured(
        self,
        strategy: Strategy,
        quantized: QuantizedGraph,
        plan: Plan,
        removed: Mapping[str, int],
    ) -> FittedModel:
        compiled, plan = self.bench.build_planned(quantized, plan)
        figures, layers = verify(compiled, self.held_out, self.reference, self.bench)
        return FittedModel(strategy, plan, removed, quantized, figures, layers)


def _lower(aims: Budgets, over: Mapping[str, int]) -> Budgets:
    return replace(aims, **{name: getattr(aims, name) - amount for name, amount in over.items()})
