"""CMA-ES: a cloud of poses that learns where the loss falls. Asks for a generation at a time.

Hansen, "The CMA evolution strategy: a tutorial", arXiv 1604.00772 (2016): the algorithm of its
appendix A with its default constants, without negative weights.
"""

from collections.abc import Generator

import numpy as np

from napari_xreg.registration.refinement.gradient_free.objective import Values


def cma_es(
    start: Values,
    sigma: Values,
    *,
    population: int,
    generations: int,
    tolerance_x: float,
    tolerance_loss: float,
    seed: int,
) -> Generator[Values, "list[float]", tuple[Values, bool]]:
    """Minimise; the mean of the last cloud, and whether it had shrunk.

    Parameters
    ----------
    start
        Mean of the first cloud.
    sigma
        Its standard deviation along each variable.
    population, generations
        So many at once, so often at most.
    tolerance_x, tolerance_loss
        Ended where the cloud is smaller than this share of `sigma` along every variable, or the losses of
        the best of the last generations and of this one are no further apart.
    seed
        Of the draws.

    Yields
    ------
    array [population, variables]
        Whose losses are wanted; `send` them.
    """
    n = len(start)
    rng = np.random.default_rng(seed)
    parents = population // 2
    weights = np.log((population + 1) / 2) - np.log(np.arange(1, parents + 1))
    weights /= weights.sum()
    effective = 1.0 / float((weights**2).sum())
    # Rates of learning: of the step's length and of the shape.
    c_step = (effective + 2) / (n + effective + 5)
    damping = 1 + 2 * max(0.0, np.sqrt((effective - 1) / (n + 1)) - 1) + c_step
    c_path = (4 + effective / n) / (n + 4 + 2 * effective / n)
    c_one = 2 / ((n + 1.3) ** 2 + effective)
    c_many = min(1 - c_one, 2 * (effective - 2 + 1 / effective) / ((n + 2) ** 2 + effective))
    expected = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
    mean, length = np.zeros(n), 1.0
    shape, path, step_path = np.eye(n), np.zeros(n), np.zeros(n)
    history: list[float] = []
    for generation in range(1, generations + 1):
        values, axes = np.linalg.eigh(shape)
        root = np.sqrt(np.maximum(values, 1e-20))
        draws = (rng.standard_normal((population, n)) * root) @ axes.T
        losses = yield start + sigma * (mean + length * draws)
        order = np.argsort(losses, kind="stable")[:parents]
        chosen = draws[order]
        moved = weights @ chosen
        mean = mean + length * moved
        whitened = axes @ ((axes.T @ moved) / root)
        step_path = (1 - c_step) * step_path + np.sqrt(c_step * (2 - c_step) * effective) * whitened
        size = float(np.linalg.norm(step_path))
        usual = np.sqrt(1 - (1 - c_step) ** (2 * generation))
        going = float(size / usual < (1.4 + 2 / (n + 1)) * expected)
        path = (1 - c_path) * path + going * np.sqrt(c_path * (2 - c_path) * effective) * moved
        kept = 1 - c_one - c_many + (1 - going) * c_one * c_path * (2 - c_path)
        shape = kept * shape + c_one * np.outer(path, path) + c_many * (chosen.T * weights) @ chosen
        shape = (shape + shape.T) / 2
        length *= float(np.exp(min(1.0, c_step / damping * (size / expected - 1))))
        history = [*history[-9:], float(np.min(losses))]
        spread = length * np.sqrt(np.diag(shape))
        apart = max(*history, float(np.sort(losses)[parents - 1])) - min(history)
        settled = len(history) == 10 and apart < tolerance_loss
        if settled or bool((spread < tolerance_x).all()):
            return start + sigma * mean, True
    return start + sigma * mean, False
