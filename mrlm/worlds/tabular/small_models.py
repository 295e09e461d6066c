"""Small models of the literature, and random ones."""

from __future__ import annotations

import numpy as np

from mrlm.worlds.tabular.tabular_model import TabularModel

_STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))


def chain(length: int = 5, slip: float = 0.2, noise: float = 0.1) -> TabularModel:
    """A chain that pays at its far end, and a little for going back to the start.

    Forward, back, and from the second state on a third action that pays half of what going back
    pays and stays, so that sets are ragged. With chance ``slip`` forward and back change places.
    After Strens, A Bayesian framework for reinforcement learning, 2000, rewards divided by 10;
    sessions do not end.
    """
    action: list[int] = []
    transition, reward, offsets = [], [], [0]
    for state in range(length):
        moves = np.zeros((2, length))
        moves[0, min(state + 1, length - 1)] = 1.0
        moves[1, 0] = 1.0
        pays = np.array([1.0 if state == length - 1 else 0.0, 0.2])
        mixed = np.array([[1 - slip, slip], [slip, 1 - slip]])
        rows, paid = list(mixed @ moves), list(mixed @ pays)
        if state > 0:
            rows.append(np.eye(length)[state])
            paid.append(0.1)
        action += range(len(rows))
        transition += rows
        reward += paid
        offsets.append(len(action))
    return TabularModel(
        offsets=np.array(offsets),
        action=np.array(action),
        transition=np.array(transition),
        reward=np.array(reward)[:, None],
        noise=np.array([noise]),
        start=np.eye(length)[0],
    )


def grid(side: int = 5, slip: float = 0.1, noise: float = 0.1) -> TabularModel:
    """A square with a goal in one corner, where the session ends; moves into walls are not offered.

    Objectives are the goal (1 on reaching it) and effort (-1 a step, -3 on the diagonal that leads
    there), so which way is best depends on their weights. With chance ``slip`` another offered move
    is made. Sessions start in any other cell.
    """
    cells = [(r, c) for r in range(side) for c in range(side) if (r, c) != (side - 1, side - 1)]
    place = {cell: i for i, cell in enumerate(cells)}
    action: list[int] = []
    transition, reward, offsets = [], [], [0]
    for r, c in cells:
        offered = [
            (a, (r + dr, c + dc))
            for a, (dr, dc) in enumerate(_STEPS)
            if 0 <= r + dr < side and 0 <= c + dc < side
        ]
        reached = np.zeros((len(offered), len(cells)))
        for k, (_, cell) in enumerate(offered):
            if cell in place:
                reached[k, place[cell]] = 1.0
        moved = np.full((len(offered), len(offered)), slip / (len(offered) - 1))
        np.fill_diagonal(moved, 1 - slip)
        transition.append(moved @ reached)
        goal = moved @ (1.0 - reached.sum(1))
        effort = np.full(len(offered), -3.0 if r == c else -1.0)
        reward.append(np.column_stack([goal, effort]))
        action += [a for a, _ in offered]
        offsets.append(len(action))
    return TabularModel(
        offsets=np.array(offsets),
        action=np.array(action),
        transition=np.concatenate(transition),
        reward=np.concatenate(reward),
        noise=np.full(2, noise),
        start=np.full(len(cells), 1 / len(cells)),
    )


def garnet(
    seed: int,
    states: int = 12,
    actions: int = 5,
    branches: int = 4,
    objectives: int = 4,
    ending: float = 0.1,
    noise: float = 0.5,
) -> TabularModel:
    """A random model: each pair leads to ``branches`` states and pays standard normal rewards.

    Each state offers two to ``actions`` of the actions; each pair ends the session with a chance
    drawn below ``ending``. Chances of the next states are the gaps between uniform cuts. After
    Archibald, McKinnon and Thomas, On the generation of Markov decision processes, 1995.

    Raises:
        ValueError: there are fewer states than branches, or fewer than two actions.
    """
    if branches > states or actions < 2:
        raise ValueError(f"{states} states, {branches} branches, {actions} actions: not possible")
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, actions + 1, states)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    pairs = int(offsets[-1])
    offered = [np.sort(rng.permutation(actions)[:size]) for size in sizes]
    cuts = np.sort(rng.random((pairs, branches - 1)), axis=1)
    edges = np.column_stack([np.zeros(pairs), cuts, np.ones(pairs)])
    transition = np.zeros((pairs, states))
    for pair in range(pairs):
        transition[pair, rng.permutation(states)[:branches]] = np.diff(edges[pair])
    transition *= 1 - ending * rng.random((pairs, 1))
    return TabularModel(
        offsets=offsets,
        action=np.concatenate(offered),
        transition=transition,
        reward=rng.normal(size=(pairs, objectives)),
        noise=np.full(objectives, noise),
        start=np.full(states, 1 / states),
    )


def hub(both: float = 0.8) -> TabularModel:
    """A hub that leads to the one reward or to the other, and a way that pays a share of both.

    State 0 offers the hub and the way that ends with ``both`` of each objective; the hub, state 1,
    offers 1 of the first objective or 1 of the second. Each objective's optimal value goes through
    the hub, and no policy has both.
    """
    return TabularModel(
        offsets=np.array([0, 2, 4]),
        action=np.array([0, 1, 0, 1]),
        transition=np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]),
        reward=np.array([[0.0, 0.0], [both, both], [1.0, 0.0], [0.0, 1.0]]),
        noise=np.zeros(2),
        start=np.array([1.0, 0.0]),
    )


def satisfaction(effect: bool = True, levels: int = 6, noise: float = 0.3) -> TabularModel:
    """Users whose satisfaction goes down with bait and up with what is good for them.

    Three actions: bait pays most now, what is good least; what any pays grows with the level of
    satisfaction. Without the ``effect`` the level goes up and down by chance alone, whatever is
    shown, so that looking ahead wins nothing. The lowest level does not offer what lies between;
    a session ends with chance .05 at each step and starts at the middle level.
    """
    appeal, drift = (0.9, 0.65, 0.4), (-1, 0, 1)
    action: list[int] = []
    transition, reward, offsets = [], [], [0]
    for level in range(levels):
        for a in (0, 1, 2) if level else (0, 2):
            row = np.zeros(levels)
            for to, chance in ((drift[a], 0.5),) if effect else ((-1, 0.25), (1, 0.25)):
                row[np.clip(level + to, 0, levels - 1)] += chance
            row[level] += 1.0 - row.sum()
            transition.append(0.95 * row)
            reward.append((0.1 + 0.9 * level / (levels - 1)) * appeal[a])
            action.append(a)
        offsets.append(len(action))
    return TabularModel(
        offsets=np.array(offsets),
        action=np.array(action),
        transition=np.array(transition),
        reward=np.array(reward)[:, None],
        noise=np.array([noise]),
        start=np.eye(levels)[levels // 2],
    )
