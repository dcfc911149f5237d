# my own autograd engine, written after watching the lecture
import math, random

class Node:
    def __init__(self, val, parents=()):
        self.val, self.parents, self.grad = val, parents, 0.0
        self.bw = lambda: None

    def __add__(a, b):
        b = b if isinstance(b, Node) else Node(b)
        o = Node(a.val + b.val, (a, b))
        def bw():
            a.grad += o.grad
            b.grad += o.grad
        o.bw = bw
        return o

    def __mul__(a, b):
        b = b if isinstance(b, Node) else Node(b)
        o = Node(a.val * b.val, (a, b))
        def bw():
            a.grad = b.val * o.grad
            b.grad = a.val * o.grad
        o.bw = bw
        return o

    def tanh(a):
        t = math.tanh(a.val)
        o = Node(t, (a,))
        def bw():
            a.grad += (1 - t * t) * o.grad
        o.bw = bw
        return o

    def square(a):
        o = Node(a.val ** 2, (a,))
        def bw():
            a.grad += 2 * a.val * o.grad
        o.bw = bw
        return o

def backprop(root):
    order, seen = [], set()
    def visit(n):
        if id(n) in seen:
            return
        seen.add(id(n))
        for p in n.parents:
            visit(p)
        order.append(n)
    visit(root)
    root.grad = 1.0
    for n in reversed(order):
        n.bw()

class Net:
    def __init__(self, sizes, seed=9):
        rnd = random.Random(seed)
        self.W = [[[Node(rnd.gauss(0, 1 / math.sqrt(a))) for _ in range(a)] for _ in range(b)] for a, b in zip(sizes, sizes[1:])]
        self.b = [[Node(0.1) for _ in range(b)] for b in sizes[1:]]

    def run(self, x):
        h = [Node(float(v)) for v in x]
        for k, (W, b) in enumerate(zip(self.W, self.b)):
            out = []
            for row, bias in zip(W, b):
                s = bias
                for w, v in zip(row, h):
                    s = s + w * v
                out.append(s if k == len(self.W) - 1 else s.tanh())
            h = out
        return h

    def loss(self, x, y):
        total = Node(0.0)
        for o, t in zip(self.run(x), y):
            total = total + (o + Node(-float(t))).square()
        return total
