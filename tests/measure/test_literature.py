"""Published tables read with this instrument: the papers' own numbers come back, and what else follows from them.

Sources: arXiv 2507.14843 (table 1), arXiv 2604.14877 (section 4), arXiv 2508.19201 (figure 3, table 6), arXiv
2401.01879. Where a number is not the paper's but follows from its counts, the test says so.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from reachlab.measure.flow import Flow, corrected_at, net_flow, placebo_share
from reachlab.measure.frontier import best_of_bound, best_of_kl
from reachlab.measure.significance import mcnemar

# ---------------------------------------------- arXiv 2507.14843, table 1: completions; P, E, S, O, then two decimals

SUPPORT = [
    ("ProRL-1.5B-v2", (2388, 48, 175, 793), (0.93, 0.02, 0.04, -0.05)),
    ("Nemotron-1-7B", (2715, 28, 56, 605), (0.98, 0.01, 0.02, -0.01)),
    ("Skywork-OR1-7B", (2685, 26, 86, 607), (0.97, 0.01, 0.02, -0.02)),
    ("Nemotron-1-14B", (2418, 8, 23, 501), (0.99, 0.00, 0.01, -0.01)),
    ("OLMo-2-0425-1B, math", (761, 83, 104, 599), (0.88, 0.10, 0.18, -0.02)),
]


@pytest.mark.parametrize(("counts", "printed"), [row[1:] for row in SUPPORT], ids=[row[0] for row in SUPPORT])
def test_support_dynamics_of_table_1(counts: tuple[int, int, int, int], printed: tuple[float, ...]) -> None:
    """Rows whose print agrees with their counts. ProRL-1.5B-v1 does not: 36 / (2400 + 36) = .015 is printed as .02."""
    flow = Flow(*counts)
    for metric, value in zip((flow.srr, flow.ndr, flow.sds, flow.nscr), printed, strict=True):
        found = metric(0.025)
        assert found.value == pytest.approx(value, abs=0.00501)
        assert found.low < found.value < found.high


def test_what_the_counts_of_table_1_can_bear() -> None:
    """Not in the paper: ProRL-v2 shrinks beyond resampling; OLMo, its highest NDR, cannot be told from no net flow."""
    prorl, olmo = Flow(2388, 48, 175, 793), Flow(761, 83, 104, 599)
    assert prorl.nscr(0.0005).high < 0 and prorl.p_value("less") < 1e-15
    assert olmo.nscr(0.025).low < 0 < olmo.nscr(0.025).high and olmo.p_value() > 0.1


# ------------------------------------------- arXiv 2604.14877, section 4, bridge questions, n = 64 attempts, 100 tasks


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(5, 1, 0.22), (3, 7, 0.34), (9, 1, 0.021)],
    ids=["RL over base", "SFT over base", "RL over SFT"],
)
def test_boundary_differences_in_a_hundred_tasks(gained: int, lost: int, p: float) -> None:
    """The discordant pairs are the paper's, the exact p-values follow: only RL over SFT would stand at .05."""
    assert mcnemar(gained, lost) == pytest.approx(p, abs=0.005)
    net = net_flow(gained, lost, 100, 0.025)
    assert (net.low > 0 or net.high < 0) == (mcnemar(gained, lost) < 0.05)


# ----------------------------------------------------- arXiv 2508.19201, figure 3 and table 6, Omni-MATH-512, k = 256

TOOLS = Flow(preserved=341, expanded=79, shrunk=9, out=83)
TEXT_128, TEXT_256, TOOL_256 = 0.6575, 0.6836, 0.8203


def test_shares_of_figure_3_are_counts_and_agree_with_table_6() -> None:
    shares = [TOOLS.preserved, TOOLS.expanded, TOOLS.shrunk, TOOLS.out]
    assert [round(100 * s / 512, 1) for s in shares] == [66.6, 15.4, 1.8, 16.2]
    assert (TOOLS.preserved + TOOLS.expanded) / 512 == pytest.approx(TOOL_256, abs=5e-5)
    assert (TOOLS.preserved + TOOLS.shrunk) / 512 == pytest.approx(TEXT_256, abs=5e-5)


def test_net_flow_with_tools_is_no_placebo() -> None:
    """Not in the paper. From totals the placebo of E - S is exactly 0, of E alone it is not known at k = 256."""
    net = TOOLS.net(0.0005)
    assert net.value == pytest.approx(TOOL_256 - TEXT_256, abs=1e-4)
    assert 0.07 < net.low < 0.1 and 0.18 < net.high < 0.2
    assert TOOLS.p_value("greater") == pytest.approx(sum(math.comb(88, i) for i in range(10)) / 2**88)
    assert TOOLS.p_value("greater") < 1e-14


def test_placebo_of_the_pure_text_base_at_half_the_attempts() -> None:
    """Not in the paper: at k = 128, two runs of the text model alone would 'expand' by pass@256 - pass@128 = 2.6 %.

    The published shrinkage at k = 256, 1.8 %, is of that size: as large as no shrinkage would look.
    """
    placebo = TEXT_256 - TEXT_128
    assert placebo == pytest.approx(0.0261, abs=1e-12)
    assert TOOLS.shrunk / 512 < placebo < TOOLS.expanded / 512 / 5


def test_attempts_would_tell_gain_and_loss_beyond_the_placebo_apart() -> None:
    """256 simulated attempts at 512 tasks of which tools open a fifth: gain, loss and placebo at k = 128 are found."""
    rng = np.random.default_rng(0)
    text = rng.beta(0.25, 0.5, 512)
    tools = np.where(rng.random(512) < 0.2, 0.5, text)
    n = np.full(512, 256)
    base, arm = (n, rng.binomial(256, text)), (n, rng.binomial(256, tools))
    found, placebo = corrected_at(base, arm, 128, 0.025), placebo_share(base, 128, 0.025)
    miss, miss_tools = (1 - text) ** 128, (1 - tools) ** 128
    for interval, true in (
        (placebo, miss * (1 - miss)),
        (found.expanded, miss * (miss - miss_tools)),
        (found.shrunk, (1 - miss) * miss_tools - miss * (1 - miss)),
    ):
        assert interval.low <= true.mean() <= interval.high
    assert found.expanded.low > 0


# --------------------------------------------------------------------------------------- arXiv 2401.01879, best-of-n


def best_of_n_kl(outcomes: int, n: int) -> float:
    """KL of best-of-n from a uniform policy over *outcomes* with distinct rewards, by its definition."""
    ranks = np.arange(outcomes + 1) / outcomes
    best = np.diff(ranks**n)
    kept = best > 0
    return float(np.sum(best[kept] * np.log(best[kept] * outcomes)))


@pytest.mark.parametrize("n", [2, 4, 100])
def test_the_formula_is_a_bound_reached_by_ever_finer_rewards(n: int) -> None:
    kls = [best_of_n_kl(m, n) for m in (2, 10, 1000, 1_000_000)]
    assert kls == sorted(kls) and kls[-1] <= best_of_bound(n) + 1e-12
    assert kls[-1] == pytest.approx(best_of_bound(n), rel=1e-3)
    assert best_of_n_kl(2, n) == pytest.approx(float(best_of_kl(np.array([0.5]), n)[0]))


def test_a_verifier_stays_below_the_formula_everywhere() -> None:
    p0 = np.r_[np.logspace(-300, -0.001, 400), 1.0]
    for n in (1, 2, 7, 100, 10**4, 10**8):
        assert best_of_kl(p0, n).max() <= best_of_bound(n) + 1e-12


def test_a_verifier_reaches_the_formula_only_for_rare_success_sampled_often() -> None:
    """The best ratio over n, at n p0 from 4 to 9, tends to 1 as p0 does to 0; with n p0 small or large it is near 0."""
    ratios = []
    for p0 in (1e-2, 1e-4, 1e-8, 1e-16, 1e-64, 1e-256):
        n = np.geomspace(2, 1e4, 200) / p0
        ratios.append(max(float(best_of_kl(np.array([p0]), k)[0]) / best_of_bound(k) for k in n.tolist()))
    assert ratios == sorted(ratios) and 0.85 < ratios[0] < 0.9 and ratios[-1] > 0.99
    assert float(best_of_kl(np.array([1e-8]), 100.0)[0]) < 1e-4 * best_of_bound(100)
    assert float(best_of_kl(np.array([0.5]), 1e6)[0]) == pytest.approx(math.log(2))  # n p0 large: -log p0, no more
