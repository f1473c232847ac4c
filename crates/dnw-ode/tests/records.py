"""Prints the records of `torchdiffeq.rs`: what torchdiffeq makes of the same problems.

Needs torch and torchdiffeq. Double precision, dopri5.
"""

import torch
from torchdiffeq import odeint
from torchdiffeq._impl import rk_common

torch.set_default_dtype(torch.float64)

# torchdiffeq treats the lengths of all steps but the first as constants: only a first step that it finds itself passes
# gradients on. Those are of the size of the tolerance. Here it is a constant too.
find_first_step = rk_common._select_initial_step


def first_step_without_gradient(*arguments, **options):
    with torch.no_grad():
        return find_first_step(*arguments, **options)


rk_common._select_initial_step = first_step_without_gradient


def van_der_pol(t, y, p):
    return torch.stack([y[1], p[0] * (1 - y[0] ** 2) * y[1] - y[0]])


def network(t, y, p):
    return torch.tanh(p.view(3, 3) @ y) - 0.5 * y


def forced(t, y, p):
    return -p[0] * (y - torch.cos(t))


PROBLEMS = [
    ("van_der_pol", van_der_pol, [2.0, 0.0], [5.0], 4.0, 1e-3, 1e-3, None),
    ("van_der_pol", van_der_pol, [2.0, 0.0], [5.0], 4.0, 1e-6, 1e-8, None),
    ("network", network, [0.5, -1.0, 2.0], [0.3, -1.2, 0.8, 2.0, 0.1, -0.7, -1.5, 0.9, 0.4], 1.0, 1e-3, 1e-3, None),
    ("forced", forced, [0.0], [50.0], 1.0, 1e-3, 1e-3, None),
    ("forced", forced, [0.0], [50.0], 1.0, 1e-3, 1e-3, 0.5),
]

for name, slope, start, parameters, end, rtol, atol, first in PROBLEMS:
    y0 = torch.tensor(start, requires_grad=True)
    p = torch.tensor(parameters, requires_grad=True)
    seen = {"evaluations": 0, "accepted": 0, "rejected": 0}

    class Field(torch.nn.Module):
        def forward(self, t, y):
            seen["evaluations"] += 1
            return slope(t, y, p)

        def callback_accept_step(self, t0, y0, dt):
            seen["accepted"] += 1

        def callback_reject_step(self, t0, y0, dt):
            seen["rejected"] += 1

    options = {} if first is None else {"first_step": first}
    span = torch.tensor([0.0, end])
    y = odeint(Field(), y0, span, rtol=rtol, atol=atol, method="dopri5", options=options)[1]
    of_state, of_parameters = torch.autograd.grad(y.square().sum(), [y0, p])
    print(name, rtol, first, seen)
    for what, x in [("end", y), ("of_state", of_state), ("of_parameters", of_parameters)]:
        print(f"    {what}: &{[float(v) for v in x]},")
