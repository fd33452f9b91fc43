"""Steps of Adam, with the numbers of `torch.optim` and without importing it.

`torch.optim` brings torch's compiler, which takes seconds to import and loads Triton where that is
installed; Triton's LLVM ends the process if Mesa's is there already, as in a window drawn in
software (decision 12).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class AdamSteps:
    """Adam, with decoupled weight decay where that is not 0 (AdamW).

    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015; Loshchilov and Hutter,
    "Decoupled weight decay regularization", ICLR 2019. Bit for bit `torch.optim.AdamW` on the CPU.

    Parameters
    ----------
    parameters
        Leaves with gradients; those without one are passed over in a step.
    betas
        Decay of the running means of the gradient and of its square.
    eps
        Added to the root of the mean square.
    weight_decay
        Share of a parameter, times the rate, that a step takes off.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.parameters = tuple(parameters)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self._steps = [0] * len(self.parameters)
        self._means = [torch.zeros_like(p).detach() for p in self.parameters]
        self._squares = [torch.zeros_like(p).detach() for p in self.parameters]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rates: float | Sequence[float]) -> None:
        """Go down the gradients: one learning rate for all, or one for each parameter."""
        each = [rates] * len(self.parameters) if isinstance(rates, int | float) else list(rates)
        moved = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        if not moved:
            return
        parameters = [self.parameters[i] for i in moved]
        gradients = [p.grad for p in parameters if p.grad is not None]
        means, squares = [self._means[i] for i in moved], [self._squares[i] for i in moved]
        first, second = self.betas
        for i in moved:
            self._steps[i] += 1
        if self.weight_decay:
            torch._foreach_mul_(parameters, [1 - each[i] * self.weight_decay for i in moved])
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        # Both means begin at nought: divided by what they can have gathered so far.
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [math.sqrt(1 - second ** self._steps[i]) for i in moved])
        torch._foreach_add_(roots, self.eps)
        torch._foreach_addcdiv_(
            parameters, means, roots, [-(each[i] / (1 - first ** self._steps[i])) for i in moved]
        )

    def state(self) -> dict[str, Any]:
        """Counts and running means, by the number of the parameter, as `torch.optim` has them."""
        moments = {
            i: {
                "step": torch.tensor(float(self._steps[i])),
                "exp_avg": self._means[i].clone(),
                "exp_avg_sq": self._squares[i].clone(),
            }
            for i in range(len(self.parameters))
            if self._steps[i]
        }
        return {"state": moments}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state`, or to one of `torch.optim.AdamW` over the same parameters.

        Raises
        ------
        ValueError
            If it belongs to other parameters. Nothing has changed then.
        """
        moments = _moments(state)
        numbers = range(len(self.parameters))
        for i, (_, *means) in moments.items():
            if i not in numbers or any(m.shape != self.parameters[i].shape for m in means):
                raise ValueError("the optimiser's state belongs to other parameters")
        for i, parameter in enumerate(self.parameters):
            steps, mean, square = moments.get(i, (0, torch.zeros(()), torch.zeros(())))
            self._steps[i] = steps
            self._means[i].copy_(mean.to(parameter.device))
            self._squares[i].copy_(square.to(parameter.device))


def _moments(state: Mapping[str, Any]) -> dict[int, tuple[int, Tensor, Tensor]]:
    try:
        moments = {
            int(i): (int(m["step"]), m["exp_avg"], m["exp_avg_sq"])
            for i, m in state["state"].items()
        }
        whole = all(
            steps > 0
            and all(m.is_floating_point() and bool(m.isfinite().all()) for m in means)
            and bool((means[1] >= 0).all())
            for steps, *means in moments.values()
        )
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError("the optimiser's state has another form") from error
    if not whole:
        raise ValueError("the optimiser's state has counts or means that no step leaves")
    return moments
