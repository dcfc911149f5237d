"""tinytensor: an autograd in one file. Broadcasting is handled by `unbroadcast`."""
import numpy as np


def unbroadcast(g, shape):
    while g.ndim > len(shape):
        g = g.sum(0)
    for ax, n in enumerate(shape):
        if n == 1 and g.shape[ax] != 1:
            g = g.sum(ax, keepdims=True)
    return g


class Tensor:
    def __init__(self, data, parents=()):
        self.data = np.asarray(data, dtype=float)
        self.grad = None
        self._parents = parents          # [(tensor, vjp)]

    def _acc(self, g):
        g = unbroadcast(g, self.data.shape)
        self.grad = g if self.grad is None else self.grad + g

    def __add__(self, o):
        o = _t(o)
        return Tensor(self.data + o.data, [(self, lambda g: g), (o, lambda g: g)])

    def __mul__(self, o):
        o = _t(o)
        return Tensor(self.data * o.data, [(self, lambda g: g * o.data), (o, lambda g: g * self.data)])

    def __neg__(self):
        return self * -1.0

    def __sub__(self, o):
        return self + (-_t(o))

    def __matmul__(self, o):
        return Tensor(self.data @ o.data, [(self, lambda g: g @ o.data.T), (o, lambda g: self.data.T @ g)])

    def tanh(self):
        t = np.tanh(self.data)
        return Tensor(t, [(self, lambda g: g * (1 - t * t))])

    def __pow__(self, n):
        return Tensor(self.data ** n, [(self, lambda g: g * n * self.data ** (n - 1))])

    def mean(self):
        return Tensor(self.data.mean(), [(self, lambda g: np.full(self.data.shape, g / self.data.size))])

    __radd__, __rmul__ = __add__, __mul__

    def backward(self):
        order, seen = [], set()

        def visit(t):
            if id(t) not in seen:
                seen.add(id(t))
                for p, _ in t._parents:
                    visit(p)
                order.append(t)
        visit(self)
        self.grad = np.ones_like(self.data)
        for t in reversed(order):
            for p, vjp in t._parents:
                p._acc(vjp(t.grad))


def _t(x):
    return x if isinstance(x, Tensor) else Tensor(x)


def gelu(x):
    return 0.5 * x * (1.0 + ((x + 0.044715 * x ** 3) * np.sqrt(2 / np.pi).item()).tanh())


class MLP:
    def __init__(self, *sizes, seed=0):
        r = np.random.default_rng(seed)
        self.layers = [{"w": Tensor(r.normal(0, i ** -0.5, (i, o))), "b": Tensor(np.zeros((1, o)))}
                       for i, o in zip(sizes, sizes[1:])]

    def __call__(self, x):
        x = _t(x)
        for n, l in enumerate(self.layers):
            x = x @ l["w"] + l["b"]
            if n + 1 < len(self.layers):
                x = gelu(x)
        return x

    def parameters(self):
        return [p for l in self.layers for p in (l["w"], l["b"])]

    def zero_grad(self):
        for p in self.parameters():
            p.grad = None


def mse(pred, target):
    return ((pred - target) ** 2).mean()
